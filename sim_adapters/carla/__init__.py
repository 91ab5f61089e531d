"""CARLA through its client library: live worlds, their servers, and a headless server."""
