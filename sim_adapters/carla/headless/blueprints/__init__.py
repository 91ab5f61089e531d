"""What can be spawned, with attributes and physics."""
