import numpy as np
import pytest

from evaluation.scoring.episode_result import EpisodeEnd, InfractionKind
from evaluation.scoring.referee import LeaderboardReferee, ScriptFacts
from rewards.driving_events import CollisionKind
from sim_adapters.scene.memory import empty_memory
from sim_adapters.scene.state import ActorKind
from tests.evaluation.fake_drive import events_with, make_scene

LENGTH_M = 300.0


def make_referee(num_agents: int = 1) -> LeaderboardReferee:
    scene = make_scene(num_agents)
    referee = LeaderboardReferee(scene, empty_memory(scene).route)
    for agent in range(num_agents):
        referee.begin(agent, LENGTH_M)
    return referee


def pass_route(referee: LeaderboardReferee, percent: float) -> None:
    """Put the egos where the events will say they are; the route has a point a metre."""
    referee.tracker.index[:] = round(percent / 100.0 * LENGTH_M)


def kinds(referee: LeaderboardReferee, agent: int = 0) -> list[InfractionKind]:
    return [infraction.kind for infraction in referee.records.read(agent).infractions]


def test_infractions_are_counted_and_the_drive_goes_on():
    referee = make_referee()
    ended = referee.judge(
        events_with(
            1,
            collision=True,
            collision_kind=CollisionKind.PEDESTRIAN,
            ran_red_light=True,
            ran_stop_sign=True,
        )
    )
    assert not ended.any()
    assert kinds(referee) == [
        InfractionKind.COLLISION_PEDESTRIAN,
        InfractionKind.RED_LIGHT,
        InfractionKind.STOP_SIGN,
    ]


def test_an_infraction_knows_its_time_place_and_other_party():
    referee = make_referee()
    scene = referee.scene
    scene.motion.x[0, 0], scene.motion.y[0, 0] = 12.0, -3.0
    scene.contacts.other_slot[0, 0] = 2
    scene.traits.kind[0, 2], scene.traits.actor_id[0, 2] = ActorKind.TRUCK, 77
    referee.judge(events_with(1))
    referee.judge(events_with(1, collision=True, collision_kind=CollisionKind.VEHICLE))
    (infraction,) = referee.records.read(0).infractions
    assert infraction.time_s == pytest.approx(0.2)
    assert (infraction.x, infraction.y) == (12.0, -3.0)
    assert (infraction.other_type, infraction.other_id) == ("truck", 77)


@pytest.mark.parametrize(
    ("fact", "end"),
    [
        ("route_finished", EpisodeEnd.COMPLETED),
        ("off_route", EpisodeEnd.ROUTE_DEVIATION),
        ("blocked", EpisodeEnd.BLOCKED),
        ("timed_out", EpisodeEnd.TIMEOUT),
        ("simulator_failed", EpisodeEnd.SIMULATOR_FAILED),
    ],
)
def test_only_these_facts_end_a_route(fact, end):
    referee = make_referee(2)
    assert referee.judge(events_with(2, **{fact: [False, True]})).tolist() == [False, True]
    assert referee.records.read(0).end is None
    assert referee.records.read(1).end is end


def test_nobody_is_blocked_by_a_scenario_with_a_time_limit_and_the_clock_begins_anew():
    scene, held = make_scene(2), np.array([True, False])
    referee = LeaderboardReferee(
        scene, empty_memory(scene).route, ScriptFacts(held_up=lambda: held)
    )
    for agent in range(2):
        referee.begin(agent, LENGTH_M)
    stands = events_with(2, blocked=True)  # both have stood for 180 s already
    assert referee.judge(stands).tolist() == [False, True]
    held[0] = False  # after one step, at 0.1 s: 180 s from there are 1,800 steps
    outcomes = [referee.judge(stands)[0] for _ in range(1801)]
    assert outcomes.index(True) == 1800
    assert referee.records.read(0).end is EpisodeEnd.BLOCKED


def test_ten_metres_before_the_end_and_past_99_percent_is_arrival():
    referee = make_referee()
    referee.scene.motion.x[0, 0] = LENGTH_M - 9.0
    assert not referee.judge(events_with(1, route_percent=98.9)).any()
    assert referee.judge(events_with(1, route_percent=99.1)).all()
    assert referee.records.read(0).route_percent == 100.0


def test_game_time_is_300_seconds_plus_what_progress_buys():
    referee = make_referee()
    # 30 m gained at a limit of 10 m/s buy 30 s: each metre the time it takes at 1 m/s
    referee.judge(events_with(1, route_percent=10.0, route_percent_gained=10.0))
    for _ in range(3298):
        assert not referee.judge(events_with(1, route_percent=10.0)).any()
    outcomes = [referee.judge(events_with(1, route_percent=10.0)).item() for _ in range(3)]
    assert outcomes[-1] or outcomes[-2]
    assert referee.records.read(0).end is EpisodeEnd.TIMEOUT
    assert kinds(referee)[-1] is InfractionKind.ROUTE_TIMEOUT


def test_way_outside_the_lanes_is_one_infraction_with_its_share():
    referee = make_referee()
    for step in range(1, 5):
        outside = step == 2
        percent = 10.0 * step
        pass_route(referee, percent)
        referee.judge(
            events_with(
                1,
                route_percent=percent,
                route_percent_gained=10.0,
                outside_route_lanes=outside,
                off_route=step == 4,
            )
        )
    lanes = [
        infraction
        for infraction in referee.records.read(0).infractions
        if infraction.kind is InfractionKind.OUTSIDE_ROUTE_LANES
    ]
    assert [infraction.percent for infraction in lanes] == [25.0]
    assert referee.records.read(0).outside_m == pytest.approx(30.0)


def drive_with_traffic(ego_mps: float, traffic_mps: float) -> LeaderboardReferee:
    referee = make_referee()
    scene = referee.scene
    scene.traits.valid[0, 1], scene.traits.kind[0, 1] = True, ActorKind.VAN
    scene.motion.vx_mps[0, 1] = traffic_mps
    for percent in np.arange(1.0, 101.0):
        pass_route(referee, percent)
        referee.judge(
            events_with(
                1,
                route_percent=percent,
                route_percent_gained=1.0,
                speed_mps=ego_mps,
                route_finished=percent == 100.0,
            )
        )
    return referee


def test_half_the_speed_of_traffic_fails_all_four_checkpoints():
    referee = drive_with_traffic(5.0, 10.0)
    assert [infraction.percent for infraction in referee.records.read(0).infractions] == [50.0] * 4


def test_keeping_pace_with_traffic_fails_no_checkpoint():
    assert kinds(drive_with_traffic(10.0, 10.0)) == []


@pytest.mark.parametrize(("percent", "is_past"), [(25.004, True), (25.0, False)])
def test_a_quarter_ends_at_unrounded_metres(percent, is_past):
    # 25.004 % are past a quarter, though the leaderboard calls them 25.00 %
    scene = make_scene(1)
    tracker = empty_memory(scene).route
    scripts = ScriptFacts(traffic_speed=lambda _: np.full(1, 10.0))
    referee = LeaderboardReferee(scene, tracker, scripts)
    referee.begin(0, LENGTH_M)
    referee.judge(events_with(1, route_percent=24.0, speed_mps=5.0))
    scene.routes.percent[0, 75] = percent
    tracker.index[0] = 75
    referee.judge(events_with(1, route_percent=25.0, speed_mps=5.0))
    assert kinds(referee) == [InfractionKind.MINIMUM_SPEED] * is_past


def test_an_empty_road_has_no_speed_to_keep():
    referee = make_referee()
    for percent in np.arange(1.0, 60.0):
        pass_route(referee, percent)
        referee.judge(events_with(1, route_percent=percent, route_percent_gained=1.0))
    assert kinds(referee) == []


def test_means_cover_the_episode():
    referee = make_referee()
    referee.scene.traits.valid[0, 1] = True
    referee.judge(events_with(1, speed_mps=4.0))
    referee.scene.traits.valid[0, 2] = True
    referee.judge(events_with(1, speed_mps=6.0))
    record = referee.records.read(0)
    assert (record.speed_sum_mps, record.actor_sum, record.num_steps) == (10.0, 3, 2)


def test_an_ended_record_takes_nothing_more_until_the_next_begins():
    # An action is held for several steps, and a world runs on to the end of them
    referee = make_referee(2)
    step = {"route_percent_gained": 1.0, "speed_mps": 4.0}
    referee.judge(events_with(2, blocked=[False, True], route_percent=[2.0, 3.0], **step))
    closed = referee.records.read(1)
    assert closed.end is EpisodeEnd.BLOCKED
    hit = {"collision": True, "collision_kind": CollisionKind.VEHICLE}
    after = events_with(2, **hit, ran_red_light=True, route_finished=True, **step)
    assert referee.judge(after).tolist() == [True, False]
    assert referee.records.read(1) == closed
    referee.begin(1, LENGTH_M)
    assert referee.judge(after).tolist() == [False, True]
    assert kinds(referee, 1) == [InfractionKind.COLLISION_VEHICLE, InfractionKind.RED_LIGHT]
