"""`apply_batch`: many commands in one call, each answered on its own."""

from __future__ import annotations

import logging
from typing import Any

from sim_adapters.carla.headless import wire_values as values
from sim_adapters.carla.headless.calls.actors import ActorCalls
from sim_adapters.carla.headless.calls.dispatch import CallError, Dispatcher, call
from sim_adapters.carla.headless.protocol import Answer
from sim_adapters.carla.headless.world import World

_logger = logging.getLogger(__name__)
_SPAWN, _CONSOLE = 0, 20

# Commands by their place in the client's variant; the fields of each are the call's arguments
CALL_OF_COMMAND = {
    1: "destroy_actor",
    2: "apply_control_to_vehicle",
    3: "apply_ackermann_control_to_vehicle",
    4: "apply_control_to_walker",
    5: "apply_physics_control",
    6: "set_actor_transform",
    7: "set_walker_state",
    8: "set_actor_target_velocity",
    9: "set_actor_target_angular_velocity",
    10: "add_actor_impulse",
    11: "add_actor_force",
    12: "add_actor_angular_impulse",
    13: "add_actor_torque",
    14: "set_actor_simulate_physics",
    15: "set_actor_enable_gravity",
    16: "set_actor_autopilot",
    17: "show_vehicle_debug_telemetry",
    18: "set_vehicle_light_state",
    19: "set_actor_location",
    21: "set_traffic_light_state",
}


class BatchCalls:
    """Carries out batches on a world.

    Args:
        world: The world.
        actors: Spawns actors.
    """

    def __init__(self, world: World, actors: ActorCalls) -> None:
        self._world = world
        self._actors = actors
        self.dispatcher: Dispatcher | None = None  # of all calls, set once they are known

    @call("apply_batch", Answer.BARE)
    def apply(self, commands: Any, do_tick: Any = False) -> list[Any]:
        """One response a command: the actor's id, or what went wrong."""
        responses = [self._respond(command) for command in values.items(commands)]
        if values.flag(do_tick):
            self._world.tick()
        return responses

    def _respond(self, command: Any) -> Any:
        try:
            return Answer.VALUE.success(self._carry_out(command))
        except (CallError, values.BadValueError) as error:
            return Answer.VALUE.failure(str(error))
        except Exception as error:  # one bad command must not undo the answers to the others
            _logger.exception("a batch command failed")
            return Answer.VALUE.failure(f"internal error of the headless server: {error!r:.100}")

    def _carry_out(self, command: Any, actor_id: int | None = None) -> int:
        """Do one command; `actor_id` stands in for the actor of commands that follow a spawn."""
        index, arguments = values.items(values.items(command, 1)[0], 2)[:2]
        index, arguments = values.whole(index, 0, 255), values.items(arguments)
        if index == _SPAWN:
            return self._spawn(arguments)
        if index == _CONSOLE:
            return 0
        name = CALL_OF_COMMAND.get(index)
        if name is None or self.dispatcher is None:
            raise CallError(f"batch command {index} is unknown")
        if actor_id is not None:
            arguments = [actor_id, *values.items(arguments, 1)[1:]]
        self.dispatcher.carry_out(name, arguments)
        return values.whole(arguments[0])

    def _spawn(self, arguments: list[Any]) -> int:
        """Spawn, then do what hangs on the new actor; failures of those are logged only."""
        description, transform, parent_id = values.items(arguments, 4)[:3]
        parent = values.optional(parent_id)
        actor = self._actors.create(
            description, transform, None if parent is None else self._actors.find(parent)
        )
        for following in values.items(arguments[-1]):
            try:
                self._carry_out(following, actor.actor_id)
            except (CallError, values.BadValueError) as error:
                _logger.warning("a command after a spawn failed: %s", error)
        return actor.actor_id
