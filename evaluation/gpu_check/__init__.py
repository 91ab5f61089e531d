"""What `python -m evaluation.gpu_check` checks and measures on a GPU."""
