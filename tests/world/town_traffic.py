"""Drives town-wide traffic without an ego and looks for what must not happen."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numba import njit

from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.scene.geometry import boxes_overlap
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.state import ActorMotion, ActorTraits, SceneBatch, empty_scene
from sim_adapters.world.signals import (
    SignalPlan,
    empty_signal_plan,
    reset_signals_range,
    update_lights_range,
)
from sim_adapters.world.slots import SlotLayout, make_slot_layout
from sim_adapters.world.traffic.settings import TrafficSettings
from sim_adapters.world.traffic.state import CURRENT, TrafficState, empty_traffic
from sim_adapters.world.traffic.step import (
    reset_traffic_range,
    step_traffic_range,
    traffic_arguments,
)

SAME_LEVEL_M = 2.5


@njit
def count_contacts(motion: ActorMotion, traits: ActorTraits) -> int:
    """Pairs of vehicles of one world whose boxes overlap on one level."""
    contacts = 0
    for world in range(motion.x.shape[0]):
        for a in range(motion.x.shape[1]):
            for b in range(a + 1, motion.x.shape[1]):
                if not traits.valid[world, a] or not traits.valid[world, b]:
                    continue
                if abs(motion.z[world, a] - motion.z[world, b]) < SAME_LEVEL_M and boxes_overlap(
                    motion.x[world, a], motion.y[world, a], motion.yaw_rad[world, a],
                    traits.half_length_m[world, a], traits.half_width_m[world, a],
                    motion.x[world, b], motion.y[world, b], motion.yaw_rad[world, b],
                    traits.half_length_m[world, b], traits.half_width_m[world, b],
                ):  # fmt: skip
                    contacts += 1
    return contacts


@dataclass
class TownTraffic:
    """One world a town, each full of vehicles and without an ego."""

    maps: MapBank
    scene: SceneBatch
    plan: SignalPlan
    traffic: TrafficState
    layout: SlotLayout
    settings: list[TrafficSettings]

    def reset(self) -> None:
        """Start lights and traffic."""
        maps, scene = self.maps, self.scene
        worlds = (0, scene.num_worlds)
        reset_signals_range(*worlds, self.plan, maps.groups, maps.ranges, scene.clocks, True)
        self.update_lights()
        for world, settings in enumerate(self.settings):
            reset_traffic_range(world, world + 1, *self.arguments(settings))

    def step(self) -> None:
        """Advance by one step."""
        step_traffic_range(0, self.scene.num_worlds, *self.arguments(self.settings[0]))
        self.scene.clocks.elapsed_s[:] += self.scene.step_s
        self.update_lights()

    def update_lights(self) -> None:
        """Write the present states of the lights."""
        maps, scene = self.maps, self.scene
        update_lights_range(
            0, scene.num_worlds, scene.lights, self.plan, maps.signals, maps.groups, maps.ranges,
            scene.clocks,
        )  # fmt: skip

    def arguments(self, settings: TrafficSettings) -> tuple:
        """Arguments of the traffic's functions."""
        return traffic_arguments(self.scene, self.maps, self.traffic, settings, self.layout)


def make_town_traffic(
    towns: list[str], seeds: list[int], settings: TrafficSettings, num_vehicles: list[int]
) -> TownTraffic:
    """Worlds that are ready to drive; `towns` may name a town twice."""
    maps = load_map_bank(sorted(set(towns)))
    layout = make_slot_layout(num_vehicles=max(num_vehicles), num_pedestrians=0, num_statics=0)
    scene = empty_scene(
        len(towns), layout.num_slots, num_lights=maps.max_lights, num_route_points=2
    )
    scene.clocks.map_index[:] = [maps.map_index(Path(town).stem) for town in towns]
    scene.clocks.seed[:] = seeds
    run = TownTraffic(
        maps,
        scene,
        empty_signal_plan(len(towns), maps),
        empty_traffic(len(towns), layout, maps),
        layout,
        [settings._replace(around_ego=False, num_vehicles=count) for count in num_vehicles],
    )
    run.reset()
    return run


@dataclass
class TrafficRecord:
    """What a run of traffic has shown."""

    km: float = 0.0
    crossings: int = 0
    contacts: int = 0
    red_entries: int = 0
    removed: int = 0
    longest_stop_s: float = 0.0
    speed_share: list[float] = field(default_factory=list)  # mean speed / mean limit, by world

    def faults(self) -> list[str]:
        """What traffic must not do, as sentences; empty if all is well."""
        checks = {
            f"{self.contacts} collisions": self.contacts > 0,
            f"{self.red_entries} red lights run": self.red_entries > 0,
            f"{self.removed} vehicles vanished": self.removed > 0,
            f"a vehicle stood {self.longest_stop_s:.0f} s": self.longest_stop_s > 180.0,
            f"too slow: {self.speed_share}": min(self.speed_share) < 0.3,
        }
        return [sentence for sentence, is_fault in checks.items() if is_fault]


def drive(run: TownTraffic, duration_s: float) -> TrafficRecord:
    """Let traffic drive and watch every step."""
    scene, tally, record = run.scene, run.traffic.tally, TrafficRecord()
    standing_s = np.zeros(scene.traits.valid.shape)
    speed_sum, limit_sum = np.zeros(scene.num_worlds), np.zeros(scene.num_worlds)
    for _ in range(round(duration_s / scene.step_s)):
        run.step()
        valid = scene.traits.valid
        record.contacts += count_contacts(scene.motion, scene.traits)
        speed = np.hypot(scene.motion.vx_mps, scene.motion.vy_mps)
        standing_s = np.where(valid & (speed < 0.1), standing_s + scene.step_s, 0.0)
        record.longest_stop_s = max(record.longest_stop_s, float(standing_s.max()))
        lanes = np.maximum(run.traffic.places.path[..., CURRENT], 0)  # empty slots have no lane
        limit = run.maps.points.speed_limit_mps[run.maps.lanes.first_point[lanes]]
        speed_sum += np.where(valid, speed, 0.0).sum(axis=1)
        limit_sum += np.where(valid, limit, 0.0).sum(axis=1)
    record.km = float(tally.distance_m.sum()) / 1000.0
    record.crossings = int(tally.crossings.sum())
    record.red_entries = int(tally.red_entries.sum())
    record.removed = int(tally.removed_stuck.sum() + tally.removed_at_dead_end.sum())
    record.speed_share = [round(float(share), 3) for share in speed_sum / limit_sum]
    return record
