"""What happened at triggers, on drives worked by hand."""

import math

import numpy as np
import pytest

from evaluation.calibration.trigger_watch import (
    ScriptWay,
    TriggerOutcome,
    TriggerWatch,
    WatchedTrigger,
    WatchedWorld,
    lane_way,
    walk_way,
    watched_triggers,
)
from evaluation.scoring.episode_result import Infraction, InfractionKind
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.maps.router import Router
from sim_adapters.scene.map_bank import LaneKind, MapBank
from sim_adapters.scene.scenario import Scenario, ScenarioTrigger
from sim_adapters.scene.state import ActorKind

WALKER, PASSER_BY, EGO_MPS, STEP_S = 7, 8, 6.0, 0.1
PEDESTRIAN = int(ActorKind.PEDESTRIAN)


def crossing_at(x: float, name: str = "crossing") -> WatchedTrigger:
    """The ego drives east along y = 0; 12 m after the trigger a pedestrian goes north at 2 m/s."""
    start, end = np.array([x + 12.0, -4.3]), np.array([x + 12.0, 4.3])
    way = walk_way(start, end, 2.0, PEDESTRIAN, (x + 12.0, 0.0))
    return WatchedTrigger(name, "DynamicObjectCrossing", (x, 0.0, 0.0, 0.0), True, way)


def moment(
    time_s: float, ego_x: float, actors: list[tuple[int, float, float, float, float]]
) -> WatchedWorld:
    """Actors are pedestrians: id, x, y, yaw, speed."""
    columns = np.array(actors, np.float64).reshape(-1, 5).T
    kinds = np.full(columns.shape[1], PEDESTRIAN, np.uint8)
    ids, x, y, yaw, speed = columns
    return WatchedWorld(time_s, (ego_x, 0.0, 0.0), x, y, yaw, speed, kinds, ids.astype(np.int64))


def drive(
    watch: TriggerWatch, walker_speed_mps: float = 2.0, starts_s: float = 1.45, seconds: float = 9.0
) -> None:
    """At 6 m/s from x = -10; the walker of the trigger at 0 starts at a given time."""
    for step in range(round(seconds / STEP_S)):
        time_s = step * STEP_S
        walked_s = max(time_s - starts_s, 0.0)
        speed = walker_speed_mps if walked_s > 0.0 else 0.0
        y = -4.3 + speed * walked_s
        walker = (WALKER, 12.0, y, math.pi / 2.0, speed)
        passer_by = (PASSER_BY, 5.0, -5.0, 0.0, 1.5)  # along the road, beside it
        watch.step(moment(time_s, -10.0 + EGO_MPS * time_s, [walker, passer_by]))


def collision(other_id: int, x: float = 12.0) -> Infraction:
    kind = InfractionKind.COLLISION_PEDESTRIAN
    return Infraction(kind, math.nan, x, 0.0, 0.0, other_id=other_id, other_type="pedestrian")


def test_a_pedestrian_comes_and_is_met() -> None:
    watch = TriggerWatch([crossing_at(0.0)])
    drive(watch)
    (outcome,) = watch.outcomes([])
    # 2 m before the trigger: -10 + 6 t > -2 first at 1.4 s; the walker moves from 1.5 s on
    assert outcome.reached_s == pytest.approx(1.4)
    assert outcome.came_s == pytest.approx(1.5)
    # At 3.7 s the ego is at 12.2, the walker at y = -4.3 + 2 * 2.25
    assert outcome.nearest_m == pytest.approx(math.hypot(0.2, 0.2))
    assert outcome.is_met
    assert not outcome.is_hit


@pytest.mark.parametrize(("other_id", "is_hit"), [(WALKER, True), (PASSER_BY, False), (0, False)])
def test_only_a_collision_with_the_scripts_own_is_its_hit(other_id: int, is_hit: bool) -> None:
    watch = TriggerWatch([crossing_at(0.0)])
    drive(watch)
    (outcome,) = watch.outcomes([collision(other_id)])
    assert outcome.is_hit == is_hit


def test_other_infractions_are_no_hits() -> None:
    watch = TriggerWatch([crossing_at(0.0)])
    drive(watch)
    layout = Infraction(InfractionKind.COLLISION_LAYOUT, 3.0, 12.0, 0.0, 0.0, other_id=WALKER)
    (outcome,) = watch.outcomes([layout])
    assert not outcome.is_hit


def test_who_strolls_across_at_half_the_speed_is_not_of_the_script() -> None:
    watch = TriggerWatch([crossing_at(0.0)])
    drive(watch, walker_speed_mps=1.0)  # below 0.6 * 2 m/s
    (outcome,) = watch.outcomes([collision(WALKER)])
    assert (outcome.came_s, outcome.nearest_m, outcome.is_hit) == (None, None, False)


def test_who_crosses_before_the_ego_is_at_the_trigger_does_not_count() -> None:
    watch = TriggerWatch([crossing_at(300.0)])
    for step in range(40):
        walker = (WALKER, 312.0, -4.3 + 0.2 * step, math.pi / 2.0, 2.0)
        watch.step(moment(step * STEP_S, 200.0, [walker]))
    (outcome,) = watch.outcomes([])
    assert outcome == TriggerOutcome("crossing", "DynamicObjectCrossing", True, True)


def test_a_script_is_over_once_the_ego_has_left_it_behind() -> None:
    watch = TriggerWatch([crossing_at(0.0)])
    # 37 m from the meeting point: 12 m at the trigger and 25 m more; the ego is there at 9.83 s
    drive(watch, starts_s=9.9, seconds=12.0)
    (outcome,) = watch.outcomes([])
    assert outcome.reached_s is not None
    assert outcome.came_s is None


@pytest.mark.parametrize(("y", "z"), [(6.0, 0.0), (0.0, 5.0)])
def test_a_trigger_is_not_reached_from_another_road_beside_or_below(y: float, z: float) -> None:
    watch = TriggerWatch([crossing_at(0.0)])
    for step in range(40):
        seen = moment(step * STEP_S, -10.0 + step, [])
        watch.step(seen._replace(ego=(seen.ego[0], y, z)))
    (outcome,) = watch.outcomes([])
    assert outcome.reached_s is None


def test_a_hit_belongs_to_the_nearer_of_two_scripts_that_claim_it() -> None:
    watch = TriggerWatch([crossing_at(0.0, "first"), crossing_at(1.5, "second")])
    drive(watch)  # the ways are 1.5 m apart: the walker is on both
    first, second = watch.outcomes([collision(WALKER, x=13.0)])
    assert (first.is_hit, second.is_hit) == (False, True)


def test_a_trigger_that_brings_nobody_is_only_reached() -> None:
    debris = WatchedTrigger("debris", "ControlLoss", (0.0, 0.0, 0.0, 0.0), True, None)
    watch = TriggerWatch([debris])
    drive(watch)
    (outcome,) = watch.outcomes([collision(WALKER)])
    assert outcome.reached_s == pytest.approx(1.4)
    assert (outcome.brings_somebody, outcome.came_s, outcome.is_hit) == (False, None, False)


# On a town's map ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def town01() -> MapBank:
    return load_map_bank(["Town01"])


def own(way: ScriptWay, x: float, y: float, yaw: float, speed: float, kind: ActorKind) -> bool:
    watch = TriggerWatch([WatchedTrigger("t", "T", (0.0, 0.0, 0.0, 0.0), True, way)])
    place = np.array([x]), np.array([y]), np.array([yaw]), np.array([speed])
    seen = WatchedWorld(0.0, (0.0, 0.0, 0.0), *place, np.array([kind], np.uint8), np.array([9]))
    watch.step(seen)
    return bool(watch.outcomes([])[0].nearest_m)


def test_a_stream_is_told_by_its_lanes_speed_and_direction(town01: MapBank) -> None:
    lane = int(np.argmax(town01.lanes.length_m))
    rows = slice(town01.lanes.first_point[lane], town01.lanes.first_point[lane + 1])
    points = town01.points
    row = (rows.start + rows.stop) // 2
    x, y, yaw = float(points.x[row]), float(points.y[row]), float(points.yaw_rad[row])
    way = lane_way(town01, [lane], 20.0, (0.0, 0.0))
    assert own(way, x, y, yaw, 20.0, ActorKind.CAR)
    assert not own(way, x, y, yaw, 8.3, ActorKind.CAR)  # 30 km/h: background
    assert not own(way, x, y, yaw + math.pi, 20.0, ActorKind.CAR)
    assert not own(way, x, y, yaw, 20.0, ActorKind.PEDESTRIAN)
    aside = x - 3.0 * math.sin(yaw), y + 3.0 * math.cos(yaw)
    assert not own(way, *aside, yaw, 20.0, ActorKind.CAR)


def test_a_routes_triggers_know_where_their_people_go(town01: MapBank) -> None:
    # The sidewalk's middle is 4.30 m from the lane's (carla.Map, test_script_geometry)
    is_road = (town01.lanes.kind == LaneKind.DRIVING) & (town01.lanes.junction < 0)
    lane = int(np.argmax(town01.lanes.length_m * is_road))
    rows = slice(town01.lanes.first_point[lane], town01.lanes.first_point[lane + 1])
    points = np.column_stack([getattr(town01.points, axis)[rows] for axis in "xyz"])
    route = Router(town01).trace("Town01", points[[5, -5]])
    columns = (route.x, route.y, route.z, route.yaw_rad)
    at_x, at_y, at_z, yaw = (float(column[50]) for column in columns)
    triggers = (
        ScenarioTrigger("walker", "DynamicObjectCrossing", at_x, at_y, at_z, yaw),
        ScenarioTrigger("debris", "ControlLoss", at_x, at_y, at_z, yaw),
        ScenarioTrigger("backwards", "DynamicObjectCrossing", at_x, at_y, at_z, yaw + math.pi),
    )
    walker, debris, backwards = watched_triggers(
        Scenario("1", "Town01", route, 0, triggers), town01
    )
    assert walker.is_played
    assert walker.way is not None
    x, y = walker.way.meeting
    assert math.dist((x, y), (at_x, at_y)) == pytest.approx(12.5, abs=0.6)
    dx, dy = x - walker.way.x[0], y - walker.way.y[0]
    aside_m = math.cos(yaw) * dy - math.sin(yaw) * dx
    assert aside_m == pytest.approx(4.3, abs=0.1)  # he comes from the right
    assert walker.way.slowest_mps == pytest.approx(1.2)
    assert (debris.is_played, debris.way) == (True, None)
    assert (backwards.is_played, backwards.way) == (False, None)
