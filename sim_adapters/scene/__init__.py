"""The scene every simulator fills, its memory, its maps and the events found in it."""
