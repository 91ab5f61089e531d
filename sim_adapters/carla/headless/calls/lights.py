"""Calls that read and change traffic lights."""

from __future__ import annotations

from typing import Any

from sim_adapters.carla.headless import wire_values as values
from sim_adapters.carla.headless.actor_arrays import Kind
from sim_adapters.carla.headless.calls.actors import ActorCalls
from sim_adapters.carla.headless.calls.dispatch import CallError, call
from sim_adapters.carla.headless.protocol import Answer
from sim_adapters.carla.headless.signal_cycles import SignalCycles
from sim_adapters.carla.headless.world import World
from sim_adapters.scene.state import LightState

_LAST_STATE = 4  # carla.TrafficLightState.Unknown
_LONGEST_STAGE_S = 1e6


class LightCalls:
    """Carries out these calls on a world.

    Args:
        world: The world.
        actors: Finds actors.
    """

    def __init__(self, world: World, actors: ActorCalls) -> None:
        self._world = world
        self._actors = actors

    @property
    def _signals(self) -> SignalCycles:
        return self._world.episode.signals

    def _light(self, actor_id: Any) -> int:
        """Index of a light among the town's."""
        actor = self._actors.find(actor_id)
        if actor.kind != Kind.LIGHT:
            raise CallError(f"actor {actor.actor_id} ({actor.type_id}) is not a traffic light")
        return actor.index

    @call("set_traffic_light_state", Answer.VOID)
    def set_state(self, actor_id: Any, state: Any) -> None:
        """Show a state until the light's controller changes stage."""
        self._signals.set_state(self._light(actor_id), values.whole(state, 0, _LAST_STATE))

    @call("set_traffic_light_green_time", Answer.VOID)
    def set_green_time(self, actor_id: Any, seconds: Any) -> None:
        """Length of green of the light's controller."""
        self._set_time(actor_id, LightState.GREEN, seconds)

    @call("set_traffic_light_yellow_time", Answer.VOID)
    def set_yellow_time(self, actor_id: Any, seconds: Any) -> None:
        """Length of yellow of the light's controller."""
        self._set_time(actor_id, LightState.YELLOW, seconds)

    @call("set_traffic_light_red_time", Answer.VOID)
    def set_red_time(self, actor_id: Any, seconds: Any) -> None:
        """Length of the gap after yellow."""
        self._set_time(actor_id, LightState.RED, seconds)

    def _set_time(self, actor_id: Any, state: LightState, seconds: Any) -> None:
        light = self._light(actor_id)
        length = values.within(values.number(seconds), 0.0, _LONGEST_STAGE_S)
        self._signals.set_stage_time(light, int(state), length)

    @call("freeze_traffic_light", Answer.VOID)
    def freeze(self, actor_id: Any, is_frozen: Any) -> None:
        """Stop or release the clocks of all lights, as CARLA does whichever light is named."""
        self._light(actor_id)
        self._signals.is_frozen = values.flag(is_frozen)

    @call("freeze_all_traffic_lights", Answer.VOID)
    def freeze_all(self, is_frozen: Any) -> None:
        """Stop or release the clocks of all lights."""
        self._signals.is_frozen = values.flag(is_frozen)

    @call("reset_traffic_light_group", Answer.VOID)
    def reset_group(self, actor_id: Any) -> None:
        """Start the cycle of the light's junction anew."""
        self._signals.reset_group(int(self._signals.group[self._light(actor_id)]))

    @call("reset_all_traffic_lights", Answer.VOID)
    def reset_all(self) -> None:
        """Start all cycles anew."""
        self._signals.reset_all()

    @call("get_group_traffic_lights")
    def group(self, actor_id: Any) -> list[int]:
        """Ids of all lights of the light's junction."""
        lights = self._world.episode.lights
        return [lights[i].actor_id for i in self._signals.lights_of_group(self._light(actor_id))]

    @call("get_light_boxes")
    def boxes(self, actor_id: Any) -> list[Any]:
        """Boxes of the lamps: none, because the map does not know their shape."""
        self._light(actor_id)
        return []
