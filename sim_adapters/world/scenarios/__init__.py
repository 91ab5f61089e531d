"""longest6's scenario types, started by their trigger points."""
