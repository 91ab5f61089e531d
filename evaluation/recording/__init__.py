"""Recorded episodes: what every road user did, small enough to keep every drive of a benchmark."""
