"""ControlLoss and HardBreakRoute live, as the embedded world plays them (`world/scenarios`)."""

from __future__ import annotations

import math

import numpy as np

from sim_adapters.carla.actor_slots import EGO_SLOT
from sim_adapters.carla.script_crossing import place_debris
from sim_adapters.carla.scripted_moment import LiveStage
from sim_adapters.scene.lane_lookup import SAME_LEVEL_M
from sim_adapters.world.scenarios.control_loss import (
    LOSS_END_M,
    LOSS_LONGEST_S,
    debris_underneath,
    loss_noise,
)
from sim_adapters.world.scenarios.state import ScriptBook
from sim_adapters.world.scenarios.streams import HARD_BREAK_REACH_M, HARD_BREAK_S


class ControlLoss:
    """Debris on the road and noise on the ego's controls in three places.

    Args:
        stage: Where it plays.
        book: Resolved triggers of world 0.
        row: Which of them.
    """

    def __init__(self, stage: LiveStage, book: ScriptBook, row: int) -> None:
        self.is_over = False
        self._stage, self._book, self._row = stage, book, row
        self._place = float(book.triggers.x[0, row]), float(book.triggers.y[0, row])
        self._began_s = stage.now_s
        self._debris = place_debris(stage, book, row)

    def step(self) -> None:
        """End when the ego is out of the stretch, or after a while."""
        is_out = self._stage.ego_distance_m(*self._place) > LOSS_END_M
        if is_out or self._stage.now_s - self._began_s > LOSS_LONGEST_S:
            self.clear()
            self.is_over = True

    def noise(self) -> tuple[float, float]:
        """To one side a place, none between."""
        stage, book, motion = self._stage, self._book, self._stage.scene.motion
        x, y = motion.x[0, EGO_SLOT], motion.y[0, EGO_SLOT]
        place = debris_underneath(x, y, book.debris, 0, self._row)
        tick = round(stage.now_s / stage.scene.step_s)
        return loss_noise(np.uint64(stage.seed), tick, self._row, place)

    def clear(self) -> None:
        """Sweep the debris away."""
        self._stage.session.destroy(self._debris)
        self._debris = []


class HardBreak:
    """Traffic ahead of the ego brakes for some seconds.

    Limit: where nobody drives ahead nothing happens; the embedded world puts a car there.

    Args:
        stage: Where it plays.
    """

    def __init__(self, stage: LiveStage) -> None:
        self._stage = stage
        self._began_s = stage.now_s
        traffic = stage.traffic
        self._cars = cars_ahead(stage) if traffic is not None else []
        self.is_over = not self._cars
        if traffic is not None:
            traffic.hold(self._cars)

    def step(self) -> None:
        """Let them drive on when the time is over."""
        if self._stage.now_s - self._began_s > HARD_BREAK_S:
            self.clear()
            self.is_over = True

    def noise(self) -> tuple[float, float]:
        """None."""
        return 0.0, 0.0

    def clear(self) -> None:
        """Give the cars their speed back."""
        if self._stage.traffic is not None:
            self._stage.traffic.release(self._cars)
        self._cars = []


def cars_ahead(stage: LiveStage) -> list[int]:
    """Ids of background cars in front of the ego that go its way."""
    motion, traits, traffic = stage.scene.motion, stage.scene.traits, stage.traffic
    x, y, z, yaw = (
        float(part[0, EGO_SLOT]) for part in (motion.x, motion.y, motion.z, motion.yaw_rad)
    )
    dx, dy = motion.x[0] - x, motion.y[0] - y
    ahead = math.cos(yaw) * dx + math.sin(yaw) * dy
    left = math.cos(yaw) * dy - math.sin(yaw) * dx
    chosen = traits.valid[0] & (ahead > 0.0) & (ahead < HARD_BREAK_REACH_M)
    chosen &= np.abs(left) < 2.0 + 0.15 * ahead
    chosen &= (np.cos(motion.yaw_rad[0] - yaw) > 0.8) & (np.abs(motion.z[0] - z) < SAME_LEVEL_M)
    ids = traits.actor_id[0][chosen].tolist()
    return [car for car in ids if traffic is not None and traffic.has(car)]
