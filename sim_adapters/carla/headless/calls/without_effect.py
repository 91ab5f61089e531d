"""Calls that have nothing to act on here: they are answered as a server would that does nothing.

What CARLA does in these calls (rendering, layers, decals, recordings, skeletons) has no counterpart
in a world of boxes on lanes. Answering lets unmodified programs go on.
"""

from __future__ import annotations

from typing import Any

from sim_adapters.carla.headless import wire_values as values
from sim_adapters.carla.headless.calls.actors import ActorCalls
from sim_adapters.carla.headless.calls.dispatch import CallError, call
from sim_adapters.carla.headless.protocol import Answer


class CallsWithoutEffect:
    """Answers these calls.

    Args:
        actors: Finds actors, so that calls on actors that do not exist fail as in CARLA.
    """

    def __init__(self, actors: ActorCalls) -> None:
        self._actors = actors

    @call("set_actor_enable_gravity", Answer.VOID)
    @call("set_actor_dead", Answer.VOID)
    @call("add_actor_angular_impulse", Answer.VOID)
    @call("add_actor_torque", Answer.VOID)
    @call("add_actor_impulse_at_location", Answer.VOID)
    @call("add_actor_force_at_location", Answer.VOID)
    @call("show_vehicle_debug_telemetry", Answer.VOID)
    @call("set_wheel_steer_direction", Answer.VOID)
    @call("set_wheel_pitch_angle", Answer.VOID)
    @call("open_vehicle_door", Answer.VOID)
    @call("close_vehicle_door", Answer.VOID)
    @call("enable_carsim", Answer.VOID)
    @call("use_carsim_road", Answer.VOID)
    @call("enable_chrono_physics", Answer.VOID)
    @call("restore_physx_physics", Answer.VOID)
    @call("apply_ackermann_controller_settings", Answer.VOID)
    @call("set_bones_transform", Answer.VOID)
    @call("blend_pose", Answer.VOID)
    @call("get_pose_from_animation", Answer.VOID)
    @call("enable_sensor_for_ros", Answer.VOID)
    @call("disable_sensor_for_ros", Answer.VOID)
    @call("send", Answer.VOID)
    @call("set_ignored_vehicles", Answer.VOID)
    def on_actor(self, actor_id: Any, *arguments: Any) -> None:
        """Nothing happens to the actor."""
        self._actors.find(actor_id)

    @call("update_day_night_cycle", Answer.VOID)
    @call("update_lights_state", Answer.VOID)
    @call("draw_debug_shape", Answer.VOID)
    @call("clear_debug_shape", Answer.VOID)
    @call("clear_debug_string", Answer.VOID)
    @call("load_map_layer", Answer.VOID)
    @call("unload_map_layer", Answer.VOID)
    @call("enable_environment_objects", Answer.VOID)
    @call("apply_color_texture_to_objects", Answer.VOID)
    @call("apply_float_color_texture_to_objects", Answer.VOID)
    @call("stop_recorder", Answer.VOID)
    @call("stop_replayer", Answer.VOID)
    @call("set_replayer_time_factor", Answer.VOID)
    @call("set_replayer_ignore_hero", Answer.VOID)
    @call("set_replayer_ignore_spectator", Answer.VOID)
    @call("set_annotations_traverse_translucency", Answer.VOID)
    def on_world(self, *arguments: Any) -> None:
        """Nothing happens to the world."""

    @call("query_lights_state")
    @call("get_environment_objects")
    @call("get_all_level_BBs")
    @call("get_names_of_all_objects")
    @call("get_required_files")
    def nothing(self, *arguments: Any) -> list[Any]:
        """There are none: no lamps, no meshes, no files."""
        return []

    @call("get_navigation_mesh")
    @call("request_file")
    def no_bytes(self, *arguments: Any) -> bytes:
        """An empty file: a navigation mesh cannot be made from OpenDRIVE."""
        return b""

    @call("start_recorder")
    @call("show_recorder_file_info")
    @call("show_recorder_collisions")
    @call("show_recorder_actors_blocked")
    @call("replay_file")
    def no_recorder(self, *arguments: Any) -> str:
        """What a recorder would say."""
        return "the headless server does not record"

    @call("console_command")
    def console(self, *arguments: Any) -> bool:
        """There is no console."""
        return False

    @call("get_ackermann_controller_settings")
    def ackermann_settings(self, actor_id: Any) -> list[float]:
        """CARLA's defaults."""
        self._actors.find(actor_id)
        return [0.15, 0.0, 0.25, 0.01, 0.0, 0.01]

    @call("get_wheel_steer_angle")
    @call("get_wheel_pitch_angle")
    def wheel_angle(self, actor_id: Any, wheel: Any = 0) -> float:
        """Wheels have no pose of their own."""
        self._actors.find(actor_id)
        return 0.0

    @call("is_sensor_enabled_for_ros")
    def no_ros(self, *arguments: Any) -> bool:
        """There is no ROS side."""
        return False

    @call("get_bones_transform")
    @call("get_vehicle_bone_world_transforms")
    @call("get_ignored_vehicles")
    @call("get_actor_bone_names")
    @call("get_actor_bone_world_transforms")
    @call("get_actor_bone_relative_transforms")
    @call("get_actor_socket_names")
    @call("get_actor_socket_world_transforms")
    @call("get_actor_socket_relative_transforms")
    @call("get_actor_component_names")
    def no_parts(self, actor_id: Any, *arguments: Any) -> list[Any]:
        """Actors are boxes without parts."""
        self._actors.find(actor_id)
        return []

    @call("get_actor_component_world_transform")
    @call("get_actor_component_relative_transform")
    def no_component(self, actor_id: Any, name: Any = "") -> None:
        """Actors are boxes without parts."""
        self._actors.find(actor_id)
        raise CallError(f"there is no component {values.text(name)[:80]!r}")
