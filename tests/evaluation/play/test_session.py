import numpy as np
import pytest

from evaluation.play.drive_page import ACTOR_COLUMNS, drive_message, moment_message
from evaluation.play.scripts import SCRIPTS
from evaluation.play.session import DrivingSession, Wheel
from evaluation.recording.folder import find_episodes, read_episode
from sim_adapters.scene.state import ActorKind
from sim_adapters.world.scenarios.resolution import KINDS


def drive(session: DrivingSession, seconds: float) -> None:
    for _ in range(round(seconds / session.worlds.scene.step_s)):
        session.step()


def pose(session: DrivingSession) -> np.ndarray:
    motion = session.worlds.scene.motion
    return np.array([motion.x[0, 0], motion.y[0, 0], motion.yaw_rad[0, 0]])


def actors(session: DrivingSession) -> list[dict[str, float]]:
    rows = moment_message(session)["actors"]
    return [dict(zip(ACTOR_COLUMNS, row, strict=True)) for row in rows]


def test_keys_move_the_ego(session):
    before = pose(session)
    drive(session, 1.0)
    np.testing.assert_allclose(pose(session), before, atol=1e-6)  # nobody touches a key
    session.hold({"throttle"})
    drive(session, 2.0)
    ahead = pose(session)
    session.hold({"left", "throttle"})
    drive(session, 0.5)
    assert session.speed_mps > 4.0
    assert np.hypot(*(ahead - before)[:2]) > 4.0
    assert np.sin(pose(session)[2] - ahead[2]) > 0.02  # left is counter-clockwise
    session.hold({"brake"})
    drive(session, 3.0)
    assert session.speed_mps < 0.1


def test_the_planner_takes_the_wheel_and_a_key_takes_it_back(session):
    session.give_wheel(Wheel.PLANNER)
    drive(session, 3.0)
    assert session.speed_mps > 4.0
    session.hold({"brake"})
    assert session.driver is Wheel.PERSON
    drive(session, 3.0)
    assert session.speed_mps < 0.1


def test_a_pedestrian_steps_out_ahead(session):
    session.hold({"throttle"})
    drive(session, 2.0)
    session.hold(set())
    session.start_script("DynamicObjectCrossing")
    assert moment_message(session)["scripts"][0]["state"] == "waits"
    drive(session, session.worlds.scene.step_s)
    assert moment_message(session)["scripts"][0]["state"] == "acts"
    ahead, left = walker_from(session)
    assert 10.0 < ahead < 60.0
    assert left < -3.0  # beside the road, on the right
    session.give_wheel(Wheel.PLANNER)  # blind: it drives on, so the pedestrian starts
    nearest_m = 100.0
    for _ in range(120):
        session.step()
        nearest_m = min(nearest_m, abs(walker_from(session)[1]))
    assert nearest_m < 1.75  # has been in the ego's lane


def walker_from(session: DrivingSession) -> tuple[float, float]:
    """Where the only pedestrian is, ahead and to the left of the ego [m]."""
    x, y, yaw = pose(session)
    (walker,) = [row for row in actors(session) if row["kind"] == ActorKind.PEDESTRIAN]
    dx, dy = walker["x"] - x, walker["y"] - y
    return np.cos(yaw) * dx + np.sin(yaw) * dy, np.cos(yaw) * dy - np.sin(yaw) * dx


def test_every_script_starts_on_some_route_of_the_town(session):
    assert set(SCRIPTS) == set(KINDS)
    started, reasons = set(), set()
    for route in session.tasks:
        session.begin(route)
        for name in SCRIPTS:
            try:
                session.start_script(name)
                started.add(name)
            except ValueError as reason:
                reasons.add(str(reason))
        session.step()
    assert started == set(SCRIPTS)
    assert "there is no left turn at lights on the rest of this route" in reasons


def test_a_script_without_a_place_says_why(session):
    x = session.scenario.route.x.size
    session.worlds.memory.route.index[0] = x - 20  # near the end
    with pytest.raises(ValueError, match="the route ends soon"):
        session.start_script("ControlLoss")
    with pytest.raises(ValueError, match="no junction with lights on the rest of this route"):
        session.start_script("OppositeVehicleRunningRedLight")
    with pytest.raises(ValueError, match="script 'Flood': expected one of Dynamic"):
        session.start_script("Flood")
    assert session.scenario.triggers == ()


def test_a_junction_gets_one_script(session):
    def start_everywhere() -> None:
        for _ in range(10):
            session.start_script("OppositeVehicleRunningRedLight")

    with pytest.raises(ValueError, match="no junction with lights"):
        start_everywhere()
    places = {(trigger.x, trigger.y) for trigger in session.scenario.triggers}
    assert len(places) == len(session.scenario.triggers) > 0


def test_traffic_comes_and_goes_at_once(session):
    session.simulator.set_background(20, 5)
    drive(session, 4.0)
    cars = [row for row in actors(session)[1:] if row["kind"] < ActorKind.PEDESTRIAN]
    people = [row for row in actors(session) if row["kind"] == ActorKind.PEDESTRIAN]
    assert len(cars) > 10
    assert len(people) > 2
    session.simulator.set_background(3, 0)
    left = [row for row in actors(session)[1:] if row["kind"] <= ActorKind.PEDESTRIAN]
    assert 1 <= len(left) <= 3
    session.simulator.set_background(0, 0)
    drive(session, 1.0)
    assert [row for row in actors(session)[1:] if row["kind"] <= ActorKind.PEDESTRIAN] == []
    with pytest.raises(ValueError, match="traffic wants 90 vehicles"):
        session.simulator.set_background(90, 0)


def test_a_drive_is_kept_with_who_drove_it_and_what_happened(session, folder):
    before = set(find_episodes(folder))
    session.hold({"throttle"})
    drive(session, 1.5)
    session.start_script("DynamicObjectCrossing")
    session.give_wheel(Wheel.PLANNER)
    drive(session, 1.5)
    session.finish()
    assert session.is_over
    session.begin("11")
    (path,) = set(find_episodes(folder)) - before
    episode = read_episode(path)
    assert episode.num_steps == 60
    assert episode.step_s == 0.05
    assert episode.about["planner"] == "person and blind_follower"
    assert episode.about["facts"] == {"driven by hand": "50 %"}
    assert episode.about["end"] == "Stopped by the driver"
    (trigger,) = episode.about["triggers"]
    assert trigger["started_s"] == pytest.approx(1.55)
    assert path.with_name("Town02.town").is_file()


def test_a_glance_is_not_kept(session, folder):
    before = find_episodes(folder)
    drive(session, 1.0)
    session.begin("11")
    assert find_episodes(folder) == before


def test_arriving_ends_the_drive_with_its_score(session):
    session.give_wheel(Wheel.PLANNER)
    drive(session, 240.0)
    message = moment_message(session)
    assert message["end"] == "Completed"
    assert message["route_percent"] == 100.0
    assert message["score"] == pytest.approx(session.result().driving_score, abs=0.01)
    steps = session.num_steps
    session.step()
    assert session.num_steps == steps


def test_a_route_that_is_not_there_is_refused(session):
    with pytest.raises(ValueError, match="route '99': expected one of 10, 11"):
        session.begin("99")


def test_the_page_is_told_the_route_once(session):
    message = drive_message(session)
    assert (message["route"], message["town"], message["step_s"]) == ("10", "Town02", 0.05)
    assert len(message["x"]) == len(message["y"]) == session.scenario.route.x.size
