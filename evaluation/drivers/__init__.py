"""Who drives in an evaluation: networks from checkpoints and the rule-based driver."""
