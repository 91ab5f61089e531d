"""Hydra configuration of all commands, packaged so that pkg://configs finds it."""
