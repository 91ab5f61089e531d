"""A CARLA server without Unreal: speaks the wire protocol to the unmodified client library."""
