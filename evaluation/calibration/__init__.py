"""Whether the embedded world is as dangerous as the official one: same drivers, same routes."""
