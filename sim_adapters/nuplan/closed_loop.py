"""LoggedDrives: logged scenarios from their first frame to their last, for the benchmark's metrics.

N frames give N - 1 samples: sample k is what the driver saw at frame k. The plan made at the last
sample is never driven, as in the devkit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim_adapters.nuplan.scenario_log import ScenarioLog, TrackType
from sim_adapters.nuplan.scenario_source import logged_scenario
from sim_adapters.nuplan.simulator import NuplanSimulator
from sim_adapters.nuplan.slot_demand import Traffic, slots_needed
from sim_adapters.nuplan.trajectory import EgoTrace, TrackTrace, empty_traces
from sim_adapters.scene.map_bank import MapBank


class LoggedDrives:
    """A batch of scenarios at their first frame, and what is written down of each sample.

    All scenarios run in one batch: give the logs of a benchmark in portions.

    Args:
        logs: Scenarios, not empty; world i plays logs[i].
        maps: Maps that they name.
        traffic: "log" or "idm", see `NuplanSimulator`.
        num_threads: Threads for the kernels.
    """

    def __init__(
        self,
        logs: Sequence[ScenarioLog],
        maps: MapBank,
        *,
        traffic: Traffic = "log",
        num_threads: int = 1,
    ) -> None:
        self.num_samples = max(log.num_frames for log in logs) - 1
        num_actors = max(1, *(slots_needed(log, traffic) for log in logs))
        self.simulator = NuplanSimulator(
            maps,
            len(logs),
            traffic=traffic,
            max_actors=num_actors,
            max_route_points=self.num_samples + 1,
            max_route_areas=max(1, *(len(log.corrected_route_fids) for log in logs)),
            num_threads=num_threads,
        )
        self.simulator.reset(np.arange(len(logs)), [logged_scenario(log) for log in logs])
        self._ego, self._tracks = empty_traces(len(logs), self.num_samples, num_actors)
        self._ego.num_samples[:] = [log.num_frames - 1 for log in logs]
        self._types = _types_of_tracks(logs)

    def record(self, sample: int) -> None:
        """Write down the present of the scenarios that are not over."""
        running = np.flatnonzero(sample < self._ego.num_samples)
        _record_ego(self.simulator, running, sample, self._ego)
        _record_tracks(self.simulator, running, sample, self._types, self._tracks)

    def traces(self) -> tuple[EgoTrace, TrackTrace]:
        """All that was recorded; a scenario marked as failed (`clocks.failed`) has no samples."""
        self._ego.num_samples[self.simulator.scene.clocks.failed] = 0
        return self._ego, self._tracks


def _types_of_tracks(logs: Sequence[ScenarioLog]) -> np.ndarray:
    """TrackType by scenario and track, (B, tracks)."""
    types = np.zeros((len(logs), max(1, *(len(log.track_tokens) for log in logs))), np.uint8)
    for row, log in zip(types, logs, strict=True):
        row[log.boxes.track] = log.boxes.type
    return types


def _record_ego(simulator: NuplanSimulator, worlds: np.ndarray, sample: int, ego: EgoTrace) -> None:
    body, scene = simulator.scene.body, simulator.scene
    ego.time_us[worlds, sample] = simulator.book.timeline.time_us[worlds, sample]
    ego.x[worlds, sample] = body.rear_axle_x[worlds]
    ego.y[worlds, sample] = body.rear_axle_y[worlds]
    ego.yaw_rad[worlds, sample] = scene.motion.yaw_rad[worlds, 0]
    for column, values in enumerate((body.vx_mps, body.vy_mps, body.ax_mps2, body.ay_mps2)):
        ego.motion[worlds, sample, column] = values[worlds]
    ego.yaw_rate_radps[worlds, sample] = body.yaw_rate_radps[worlds]
    ego.yaw_acceleration_radps2[worlds, sample] = body.yaw_acceleration_radps2[worlds]
    ego.tyre_angle_rad[worlds, sample] = body.tyre_angle_rad[worlds]
    ego.tyre_rate_radps[worlds, sample] = body.tyre_rate_radps[worlds]


def _record_tracks(
    simulator: NuplanSimulator,
    worlds: np.ndarray,
    sample: int,
    types: np.ndarray,
    tracks: TrackTrace,
) -> None:
    motion, traits = simulator.scene.motion, simulator.scene.traits
    valid = traits.valid[worlds, 1:]
    tracks.num_boxes[worlds, sample] = valid.sum(axis=1)
    track = np.where(valid, traits.actor_id[worlds, 1:] - 1, -1)
    tracks.track[worlds, sample] = track
    kinds = np.take_along_axis(types[worlds], np.maximum(track, 0), axis=1)
    tracks.type[worlds, sample] = np.where(valid, kinds, TrackType.VEHICLE)
    tracks.x[worlds, sample] = motion.x[worlds, 1:]
    tracks.y[worlds, sample] = motion.y[worlds, 1:]
    tracks.yaw_rad[worlds, sample] = motion.yaw_rad[worlds, 1:]
    tracks.length_m[worlds, sample] = 2.0 * traits.half_length_m[worlds, 1:]
    tracks.width_m[worlds, sample] = 2.0 * traits.half_width_m[worlds, 1:]
    tracks.vx_mps[worlds, sample] = motion.vx_mps[worlds, 1:]
    tracks.vy_mps[worlds, sample] = motion.vy_mps[worlds, 1:]
