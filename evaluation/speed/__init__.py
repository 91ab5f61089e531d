"""Speed measurements: `python -m evaluation.speed` prints what docs/speed.md quotes."""
