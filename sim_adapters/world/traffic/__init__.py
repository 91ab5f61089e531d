"""Background traffic."""
