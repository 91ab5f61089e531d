"""Readers that turn map files into a MapBank."""
