"""Judging drives by CARLA leaderboard 2.0's rules: infractions, scores, their files and tables."""
