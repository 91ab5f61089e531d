"""Conflicts of ways in the vector observation, worked by hand on a straight road."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sim_adapters.observation.conflicts import (
    CONFLICT_FEATURES,
    MARGIN_SCALE_S,
    NEAR_SCALE_M,
    STOPPING_SCALE_M,
    TIME_SCALE_S,
)
from sim_adapters.observation.route_window import FULL_THROTTLE_MPS2
from sim_adapters.observation.vector import VectorObserver
from sim_adapters.scene.memory import EpisodeMemory
from sim_adapters.scene.state import ActorKind, LightState, SceneBatch
from tests.observation.observation_scenes import (
    LANE_Y,
    STOP_LINE_X,
    arrays_of,
    set_actor,
    straight_road_bank,
    straight_scene,
)

BANK = straight_road_bank()
FAR = {name.removeprefix("conflict_"): 2.0 for name in CONFLICT_FEATURES[1:]}
SWEEP_M = 1.0  # points of the route are tried every metre


def conflict_of(
    kind: ActorKind, x: float, y: float, yaw_rad: float, speed_mps: float, ego_mps: float = 5.0
) -> dict[str, float]:
    """What is said of one other actor on the ego's straight road; the ego is at (10, -1.75)."""
    scene, memory = straight_scene()
    scene.motion.vx_mps[0, 0] = ego_mps
    set_actor(scene, 0, 1, kind, x, y, yaw_rad, speed_mps)
    return _observe(scene, memory, "pedestrian" if kind == ActorKind.PEDESTRIAN else "vehicle")


def _all_features(scene: SceneBatch, memory: EpisodeMemory) -> dict[str, float]:
    observer = VectorObserver(
        num_actors=2,
        num_pedestrians=2,
        sight_m=120.0,
        order="approach",
        conflicts=True,
        route_distances_m=[2, 10, 40],
        edge_distances_m=[0.0],
    )
    out = arrays_of(observer, 1)
    observer.observe(scene, memory, BANK, out)
    return dict(zip(observer.feature_names, out["vector"][0].tolist(), strict=True))


def _observe(scene: SceneBatch, memory: EpisodeMemory, kind: str) -> dict[str, float]:
    named = _all_features(scene, memory)
    start = "light" if kind == "light" else f"{kind}_0_conflict"
    return {name[len(start) :].lstrip("_"): named[name] for name in named if name.startswith(start)}


def test_nothing_in_the_way_reads_as_a_conflict_far_away():
    away = conflict_of(ActorKind.CAR, 30.0, LANE_Y, math.pi, 8.0)  # the oncoming lane
    assert away == {"": 0.0, **FAR}


def test_a_car_that_crosses_has_the_times_of_its_box_and_the_ego_s():
    # From 20 m to the right at 10 m/s, across the route 15 m ahead of the ego's centre
    found = conflict_of(ActorKind.CAR, 15.0, -LANE_Y - 20.0, math.pi / 2.0, 10.0)
    # Boxes of half length 2.446 and 2.4, half width 0.918 and 1.0: the ego's centre is in the way
    # within 2.446 + 1.0 + 0.3 of the crossing, the other's within 0.918 + 2.4
    assert found[""] == 1.0
    assert found["gap"] * 50.0 == pytest.approx(15.0 - 3.746, abs=0.01)
    assert found["near"] == 2.0  # which it no longer is beyond four metres
    assert found["enters"] * TIME_SCALE_S == pytest.approx((20.0 - 3.318) / 10.0)
    assert found["leaves"] * TIME_SCALE_S == pytest.approx((20.0 + 3.318) / 10.0)
    # Ahead of it everywhere: at the stretch's end, 18.746 m on, at full throttle from 5 m/s
    end_s = (math.sqrt(25.0 + 2.0 * FULL_THROTTLE_MPS2 * 18.0) - 5.0) / FULL_THROTTLE_MPS2
    assert found["ahead"] * MARGIN_SCALE_S == pytest.approx(1.668 - end_s, abs=0.01)
    assert found["ahead_now"] * MARGIN_SCALE_S == pytest.approx(1.668 - 18.0 / 5.0, abs=0.01)
    # Behind it everywhere: at the stretch's beginning, 12 m on at 5 m/s
    assert found["behind_now"] * MARGIN_SCALE_S == pytest.approx(12.0 / 5.0 - 2.332, abs=0.01)
    begin_s = (math.sqrt(25.0 + 2.0 * FULL_THROTTLE_MPS2 * 12.0) - 5.0) / FULL_THROTTLE_MPS2
    assert found["behind"] * MARGIN_SCALE_S == pytest.approx(begin_s - 2.332, abs=0.01)
    # So driving on it passes behind, and at full throttle the two are there together
    assert found["clear_now"] == found["behind_now"] > 0.0
    assert found["clear"] == found["ahead"] < 0.0


def test_a_car_that_has_crossed_is_no_conflict_any_more():
    passed = conflict_of(ActorKind.CAR, 15.0, -LANE_Y + 6.0, math.pi / 2.0, 10.0)
    assert passed[""] == 0.0


@pytest.mark.parametrize("x", [4.1, 4.6, 5.0, 5.9, 7.2])
def test_who_waits_is_told_to_centimetres_how_far_it_is_from_being_in_the_way(x: float):
    found = conflict_of(ActorKind.CAR, x, -LANE_Y - 20.0, math.pi / 2.0, 10.0, ego_mps=0.0)
    gap_m = x - 3.746  # as above
    assert found["near"] * NEAR_SCALE_M == pytest.approx(gap_m, abs=0.01)


def test_the_margin_of_a_merge_is_least_where_the_speeds_are_equal():
    # A car comes up from behind at 15 m/s, 30 m back in the ego's lane; the ego stands
    found = conflict_of(ActorKind.CAR, -30.0, -LANE_Y, 0.0, 15.0, ego_mps=0.0)
    assert found["gap"] == 0.0
    # Front to rear 30 - 4.846 m; at full throttle the ego is at 15 m/s after 2.5 s and 18.75 m
    clear_s = (30.0 - 4.846 + 18.75) / 15.0 - 2.5
    assert found["ahead"] * MARGIN_SCALE_S == pytest.approx(clear_s, abs=0.02)


@pytest.mark.parametrize("speed_mps", [0.0, 8.0])
def test_a_lead_is_left_behind_by_nobody(speed_mps: float):
    found = conflict_of(ActorKind.CAR, 25.0, -LANE_Y, 0.0, speed_mps, ego_mps=8.0)
    assert found[""] == 1.0
    assert found["gap"] * 50.0 == pytest.approx(25.0 - 4.846, abs=SWEEP_M)
    assert found["ahead"] < 0.0 or speed_mps == 0.0
    closing = found["behind_now"] * MARGIN_SCALE_S
    # At its speed the ego never reaches a lead that drives as fast, but at once one that stands
    assert (closing > 0.0) == (speed_mps == 8.0)


def test_a_pedestrian_who_sets_out_is_a_conflict():
    found = conflict_of(ActorKind.PEDESTRIAN, 12.0, -LANE_Y - 4.0, math.pi / 2.0, 2.0)
    assert found[""] == 1.0
    assert 0.0 < found["enters"] < found["leaves"]


def test_actors_keep_what_else_is_said_of_them():
    scene, memory = straight_scene()
    set_actor(scene, 0, 1, ActorKind.CAR, 15.0, -20.0, math.pi / 2.0, 10.0)
    rows = []
    for conflicts in (False, True):
        observer = VectorObserver(
            num_actors=2, order="approach", conflicts=conflicts,
            route_distances_m=[2, 10, 40], edge_distances_m=[0.0],
        )  # fmt: skip
        out = arrays_of(observer, 1)
        observer.observe(scene, memory, BANK, out)
        rows.append(dict(zip(observer.feature_names, out["vector"][0].tolist(), strict=True)))
    assert rows[0].items() <= rows[1].items()
    assert np.isfinite(list(rows[1].values())).all()


@pytest.mark.parametrize(
    ("state", "remaining_s", "red_s"),
    [(LightState.GREEN, 1.0, 4.0), (LightState.YELLOW, 1.0, 1.0), (LightState.RED, 9.0, 0.0)],
)
def test_margins_of_a_light_are_of_the_ego_s_rear(
    state: LightState, remaining_s: float, red_s: float
):
    scene, memory = straight_scene()
    scene.motion.x[0, 0] = STOP_LINE_X - 10.0
    memory.route.index[0] = 20 + int(scene.motion.x[0, 0])
    scene.lights.state[0], scene.lights.remaining_s[0] = state, remaining_s
    found = _observe(scene, memory, "light")
    # 10 m and the ego's half length of 2.446 m, and a metre more, at 5 m/s
    rear_m = 13.446
    brisk_s = (math.sqrt(25.0 + 2.0 * FULL_THROTTLE_MPS2 * rear_m) - 5.0) / FULL_THROTTLE_MPS2
    clip = np.clip((red_s - brisk_s) / MARGIN_SCALE_S, -2.0, 2.0)
    assert found["clears"] == pytest.approx(clip, abs=1e-6)
    assert found["clears_now"] == pytest.approx((red_s - rear_m / 5.0) / MARGIN_SCALE_S, abs=1e-6)
    assert found["stops"] == pytest.approx((10.0 - 2.446 - 25.0 / 16.0) / STOPPING_SCALE_M)


def test_no_light_reads_like_one_far_away():
    scene, memory = straight_scene()
    scene.motion.x[0, 0] = STOP_LINE_X + 10.0
    memory.route.index[0] = 20 + int(scene.motion.x[0, 0])
    found = _observe(scene, memory, "light")
    assert found["clears"] == found["clears_now"] == found["stops"] == 2.0


def test_the_least_margin_of_all_is_said_of_the_road():
    scene, memory = straight_scene()
    # One that passes well before the ego, one that meets it at full throttle, both at 10 m/s
    set_actor(scene, 0, 1, ActorKind.CAR, 25.0, -LANE_Y - 8.0, math.pi / 2.0, 10.0)
    set_actor(scene, 0, 2, ActorKind.CAR, 15.0, -LANE_Y - 20.0, math.pi / 2.0, 10.0)
    named = _all_features(scene, memory)
    clears = [named[f"vehicle_{slot}_conflict_clear"] for slot in (0, 1)]
    assert named["clear"] == min(clears) < 0.0 < max(clears)
    nows = [named[f"vehicle_{slot}_conflict_clear_now"] for slot in (0, 1)]
    assert named["clear_now"] == min(nows)
    scene.traits.valid[0, 1:] = False
    named = _all_features(scene, memory)
    assert named["clear"] == named["clear_now"] == 2.0
