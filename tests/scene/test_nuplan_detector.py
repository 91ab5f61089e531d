"""nuPlan's facts on a straight road: progress, lane, road, route, lights, contacts, gaps."""

from __future__ import annotations

import numpy as np
import pytest

from rewards.driving_events import CollisionKind
from sim_adapters.scene.events.detection import RoadEventDetector
from sim_adapters.scene.events.settings import DetectorSettings
from sim_adapters.scene.nuplan_events.detector import NuplanDetector
from sim_adapters.scene.state import ActorKind, LightState
from tests.nuplan.hand_made_logs import make_nuplan_maps
from tests.scene.nuplan_drive import EAST_Y, HALF_LENGTH_M, NUM_FRAMES, NuplanDrive, road_scene

# Progress ------------------------------------------------------------------------------------


def test_only_new_progress_along_the_humans_path_counts():
    drive = NuplanDrive()
    gained = []
    for x in (52.0, 55.0, 53.0, 54.0, 60.0):  # of a path of 100 m
        drive.place(x)
        gained.append(drive.fact("route_percent_gained"))
    assert gained == pytest.approx([2.0, 3.0, 0.0, 0.0, 5.0])
    assert drive.arrays.route_percent[0] == pytest.approx(10.0)


def test_nothing_is_gained_beyond_the_humans_last_place_or_beside_a_standing_human():
    drive = NuplanDrive()
    drive.place(200.0)
    assert drive.fact("route_percent_gained") == pytest.approx(100.0)
    drive.place(215.0)
    assert drive.fact("route_percent_gained") == 0.0
    standing = NuplanDrive()
    standing.scene.routes.x[:] = 50.0
    standing.place(60.0)
    assert standing.fact("route_percent_gained") == 0.0


def test_an_episode_of_n_frames_has_n_minus_two_steps():
    drive = NuplanDrive()
    ends = [drive.fact("timed_out") for _ in range(NUM_FRAMES - 2)]
    assert ends == [False] * (NUM_FRAMES - 3) + [True]


# Lane, speed ---------------------------------------------------------------------------------


def test_lane_offset_and_width_are_measured_to_baseline_and_nearer_boundary():
    drive = NuplanDrive()
    drive.place(60.0, EAST_Y + 0.8)
    events = drive.look()
    assert events.lane_offset_m.item() == pytest.approx(0.8)
    # The left boundary is 1.75 - 0.8 m away: half a width of 0.8 + 0.95
    assert events.lane_width_m.item() == pytest.approx(3.5)
    assert not events.in_junction.item()


def test_connectors_and_open_country_count_as_junction():
    drive = NuplanDrive()
    for x, y, in_junction in ((110.0, EAST_Y, True), (150.0, 60.0, True), (90.0, EAST_Y, False)):
        drive.place(x, y)
        assert drive.fact("in_junction") is in_junction


def test_excess_is_the_rear_axles_speed_above_the_limit_of_lane_or_connector():
    drive = NuplanDrive(speed_limit_mps=10.0)
    drive.place(110.0, vx_mps=12.0, vy_mps=5.0)
    assert drive.fact("overspeed_mps") == pytest.approx(3.0)  # of 13 m/s
    drive.place(150.0, 60.0)  # no lane, no limit
    assert drive.fact("overspeed_mps") == 0.0
    without = NuplanDrive(speed_limit_mps=np.nan)
    without.place(60.0, vx_mps=30.0)
    assert without.fact("overspeed_mps") == 0.0


def test_the_lane_of_the_route_wins_over_one_that_fits_the_heading_better():
    drive = NuplanDrive()
    drive.place(60.0, EAST_Y, yaw=np.pi)  # against the traffic, still in the eastbound lane
    drive.look()
    assert drive.tracker.edge[0] == 0


# Road and route ------------------------------------------------------------------------------


@pytest.mark.parametrize(("y", "fraction"), [(-1.75, 0.0), (-3.0, 0.5), (-40.0, 1.0)])
def test_off_road_is_the_share_of_corners_outside_roadblocks(y: float, fraction: float):
    drive = NuplanDrive()
    drive.place(80.0, y)  # the road ends at y = -3.5 here, the corners reach 1.1485 m to the side
    assert drive.fact("off_road_fraction") == fraction


def test_intersections_are_road_and_connector_blocks_are_not():
    drive = NuplanDrive()
    drive.place(110.0, EAST_Y)  # intersection from x = 100 to 120, y = -3.5 to 3.5
    assert drive.fact("off_road_fraction") == 0.0
    drive.place(110.0, -3.0)  # right corners at y = -4.1485
    assert drive.fact("off_road_fraction") == 0.5


def test_a_tolerance_forgives_corners_that_are_nearly_on_the_road():
    for tolerance, fraction in ((0.0, 0.5), (0.6, 0.5), (0.7, 0.0)):
        drive = NuplanDrive(NuplanDetector(off_road_tolerance_m=tolerance))
        drive.place(110.0, -3.0)  # right corners 0.6485 m off the intersection
        assert drive.fact("off_road_fraction") == fraction


def test_off_route_is_only_who_leaves_it_where_the_human_was_on_it():
    drive = NuplanDrive()
    drive.place(60.0, 1.75)  # the westbound lane
    assert drive.fact("outside_route_lanes")
    drive.place(60.0)
    assert not drive.fact("outside_route_lanes")
    drive.scene.routes.y[:] = 1.75  # a human who drove there, too
    drive.place(60.0, 1.75)
    assert not drive.fact("outside_route_lanes")


def test_route_by_lanes_looks_at_lane_polygons():
    drive = NuplanDrive(NuplanDetector(route_areas="lanes"))
    drive.place(60.0, 1.75)
    assert drive.fact("outside_route_lanes")
    drive.place(110.0)
    assert not drive.fact("outside_route_lanes")


# Red lights ----------------------------------------------------------------------------------


def test_entering_a_red_connector_is_running_the_light_unless_the_human_did_so():
    drive = NuplanDrive()
    drive.place(110.0, vx_mps=5.0)
    for state, ran in ((LightState.GREEN, False), (LightState.RED, True), (LightState.OFF, False)):
        drive.scene.lights.state[:] = state
        assert drive.fact("ran_red_light") is ran
    drive.scene.lights.state[:] = LightState.RED
    drive.place(90.0)
    for _ in range(60):  # the human passes x = 100 to 120 in frames 50 to 70
        drive.look()
    drive.place(110.0)
    assert not drive.fact("ran_red_light")


def test_a_standing_ego_runs_no_light():
    drive = NuplanDrive()
    drive.scene.lights.state[:] = LightState.RED
    drive.place(110.0, vx_mps=0.04)
    assert not drive.fact("ran_red_light")


# Collisions ----------------------------------------------------------------------------------


def test_a_moving_ego_collides_with_a_track_once():
    drive = NuplanDrive()
    drive.place(60.0, vx_mps=3.0)
    drive.add(1, 60.0 + HALF_LENGTH_M + 2.0 - 0.01, EAST_Y, kind=ActorKind.PEDESTRIAN)
    events = drive.look()
    assert events.collision.item()
    assert events.collision_kind.item() == CollisionKind.PEDESTRIAN
    assert not drive.fact("collision")
    drive.add(2, 60.0, EAST_Y, actor_id=77)
    assert drive.fact("collision")


def test_touching_while_standing_is_remembered_and_never_punished():
    drive = NuplanDrive()
    drive.add(1, 61.0, EAST_Y)
    drive.place(60.0, vx_mps=0.04)
    assert not drive.fact("collision")
    drive.place(60.0, vx_mps=3.0)
    assert not drive.fact("collision")


def test_all_contacts_count_without_a_least_speed():
    drive = NuplanDrive(NuplanDetector(collision_min_speed_mps=0.0))
    drive.add(1, 61.0, EAST_Y)
    drive.place(60.0)
    assert drive.fact("collision")


def test_a_restart_forgets_contacts_progress_and_failed_tests():
    drive = NuplanDrive()
    drive.add(1, 61.0, EAST_Y)
    drive.place(60.0, vx_mps=3.0)
    drive.look()
    drive.restart()
    assert drive.tracker.frame[0] == 0
    assert not drive.tracker.ttc_failed[0]
    events = drive.look()
    assert events.collision.item()
    assert events.route_percent_gained.item() == pytest.approx(10.0)


# Time to collision ---------------------------------------------------------------------------


@pytest.mark.parametrize(("gap", "active"), [(4.9, True), (5.1, False)])
def test_boxes_are_moved_on_up_to_a_second(gap: float, active: bool):
    drive = NuplanDrive()
    drive.place(60.0, vx_mps=5.0)
    drive.add(1, 60.0 + HALF_LENGTH_M + 2.0 + gap, EAST_Y)
    assert drive.fact("ttc_active") is active


def test_a_failed_test_holds_for_the_rest_of_the_episode():
    drive = NuplanDrive()
    drive.place(60.0, vx_mps=5.0)
    drive.add(1, 66.0, EAST_Y)
    assert drive.fact("ttc_active")
    drive.add(1, 160.0, EAST_Y)
    assert drive.fact("ttc_active")


def test_a_standing_ego_meets_nobody():
    drive = NuplanDrive()
    drive.place(60.0, vx_mps=0.004)
    drive.add(1, 70.0, EAST_Y, yaw=np.pi, speed=20.0)
    assert not drive.fact("ttc_active")


@pytest.mark.parametrize(("relevant_only", "active"), [(False, True), (True, False)])
def test_a_tailgater_counts_for_carl_and_not_for_nuplans_metric(relevant_only: bool, active: bool):
    drive = NuplanDrive(NuplanDetector(ttc_relevant_only=relevant_only))
    drive.place(60.0, vx_mps=5.0)
    drive.add(1, 52.0, EAST_Y, speed=12.0)  # closes 7 m/s on a gap of 3.4 m
    assert drive.fact("ttc_active") is active


@pytest.mark.parametrize(("x", "active"), [(60.0, False), (110.0, True)])
def test_crossing_tracks_are_relevant_in_intersections(x: float, active: bool):
    drive = NuplanDrive(NuplanDetector(ttc_relevant_only=True))
    drive.place(x, vx_mps=1.0)
    drive.add(1, x, EAST_Y - 6.0, yaw=np.pi / 2, speed=6.0)  # from the right, at 90 degrees
    assert drive.fact("ttc_active") is active


# The detector as a component ------------------------------------------------------------------


def test_wrong_keys_and_memories_are_refused_with_what_to_do():
    with pytest.raises(ValueError, match="expected 'blocks' or 'lanes'"):
        NuplanDetector(route_areas="polygons")  # type: ignore[arg-type]
    scene, detector = road_scene(), NuplanDetector()
    memory = RoadEventDetector(DetectorSettings()).make_memory(scene)
    with pytest.raises(ValueError, match="detector=nuplan"):
        detector.reset_memory(np.array([0]), scene, memory, make_nuplan_maps())
