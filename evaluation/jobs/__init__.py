"""Runs commands on this machine, on a ray cluster or under SLURM; knows nothing of driving."""
