"""What traffic does at signs and behind whoever stands, watched while it drives."""

import math

import numpy as np

from sim_adapters.scene.map_bank import EntryRule
from sim_adapters.scene.state import ActorKind
from sim_adapters.world.traffic.settings import TrafficSettings
from sim_adapters.world.traffic.state import CURRENT
from sim_adapters.world.traffic.step import reset_traffic_range
from sim_adapters.world.vehicle_catalogue import EGO_HALF_LENGTH_M, EGO_HALF_WIDTH_M
from tests.world.town_traffic import make_town_traffic


def test_everybody_stops_at_a_stop_sign_before_driving_on() -> None:
    run = make_town_traffic(["Town07"], [5], TrafficSettings(), [40])
    lanes, entry = run.maps.lanes, run.maps.rules.entry
    since_standing_m = np.full(run.scene.traits.valid.shape, np.inf)
    old = run.traffic.places.path[..., CURRENT].copy()
    stopped_for = []
    for _ in range(900):
        run.step()
        speed = np.hypot(run.scene.motion.vx_mps, run.scene.motion.vy_mps)
        since_standing_m += speed * run.scene.step_s
        since_standing_m[speed < 0.1] = 0.0
        lane = run.traffic.places.path[..., CURRENT]
        enters = (lane != old) & (lane >= 0) & (lanes.junction[lane] >= 0)
        stopped_for += since_standing_m[enters & (entry[lane] == EntryRule.STOP)].tolist()
        old = lane.copy()
    assert len(stopped_for) >= 5
    # It stands within 3 m of the line with its bumper; then its centre has half a length to go
    assert max(stopped_for) < 3.0 + 1.0 + 3.3


def test_who_comes_up_to_a_standing_ego_waits_behind_it() -> None:
    settings = TrafficSettings(num_vehicles=20)
    run = make_town_traffic(["Town01"], [3], settings, [24])
    points, traits, motion = run.maps.points, run.scene.traits, run.scene.motion
    point = run.traffic.map.spawn_point[len(run.traffic.map.spawn_point) // 3]
    for name in ("x", "y", "z", "yaw_rad"):
        getattr(motion, name)[0, 0] = getattr(points, name)[point]
    traits.valid[0, 0], traits.kind[0, 0], traits.actor_id[0, 0] = True, ActorKind.CAR, 1
    traits.half_length_m[0, 0], traits.half_width_m[0, 0] = EGO_HALF_LENGTH_M, EGO_HALF_WIDTH_M
    run.settings = [settings]
    reset_traffic_range(0, 1, *run.arguments(settings))
    for _ in range(400):
        run.step()
    yaw = motion.yaw_rad[0, 0]
    dx, dy = motion.x[0] - motion.x[0, 0], motion.y[0] - motion.y[0, 0]
    behind_m = -(np.cos(yaw) * dx + np.sin(yaw) * dy) - traits.half_length_m[0] - EGO_HALF_LENGTH_M
    in_lane = np.abs(np.cos(yaw) * dy - np.sin(yaw) * dx) < 1.0
    queue = traits.valid[0] & in_lane & (behind_m > -1.0) & (behind_m < 15.0)
    queue[0] = False
    assert queue.any()
    first = int(np.argmin(np.where(queue, behind_m, np.inf)))
    assert np.hypot(motion.vx_mps[0, first], motion.vy_mps[0, first]) < 0.1
    assert 1.0 < behind_m[first] < 5.0  # IDM creeps up to its minimum gap of 2 m


def test_nobody_waits_for_an_ego_that_stands_beside_its_way() -> None:
    """At a line of Town03 the ego's nose is in the junction, but in nobody's way."""
    settings = TrafficSettings(num_vehicles=30, radius_m=70.0, company=2, changes_lanes=False)
    run = make_town_traffic(["Town03"], [3], settings, [30])
    traits, motion = run.scene.traits, run.scene.motion
    motion.x[0, 0], motion.y[0, 0], motion.yaw_rad[0, 0] = 242.98, -82.93, math.radians(98.9)
    traits.valid[0, 0], traits.kind[0, 0], traits.actor_id[0, 0] = True, ActorKind.CAR, 1
    traits.half_length_m[0, 0], traits.half_width_m[0, 0] = EGO_HALF_LENGTH_M, EGO_HALF_WIDTH_M
    run.settings = [settings]
    reset_traffic_range(0, 1, *run.arguments(settings))
    passed: set[int] = set()
    for _ in range(1200):
        run.step()
        dx, dy = motion.x[0] - motion.x[0, 0], motion.y[0] - motion.y[0, 0]
        yaw = motion.yaw_rad[0, 0]
        ahead, left = np.cos(yaw) * dx + np.sin(yaw) * dy, np.cos(yaw) * dy - np.sin(yaw) * dx
        is_past = traits.valid[0] & (ahead > 6.0) & (ahead < 20.0) & (np.abs(left - 2.0) < 4.0)
        passed |= set(traits.actor_id[0, is_past & (np.cos(motion.yaw_rad[0] - yaw) > 0.5)])
    assert len(passed) >= 3
