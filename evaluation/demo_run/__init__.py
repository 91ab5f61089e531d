"""Parts of the demo: its training, the drive it shows, its summary."""
