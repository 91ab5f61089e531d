"""Bird's-eye videos of recorded episodes."""
