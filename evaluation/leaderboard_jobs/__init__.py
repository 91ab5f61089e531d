"""Runs the unmodified leaderboard evaluator on many servers and reads what it wrote."""
