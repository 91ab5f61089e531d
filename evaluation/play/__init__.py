"""Driving in the embedded world by hand, in a browser on this machine."""
