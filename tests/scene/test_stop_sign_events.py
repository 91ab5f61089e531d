"""Stop sign at x = 180 with a trigger box of 3 m x 1.75 m, approached from the west."""

import pytest

from sim_adapters.scene.events.detection import DetectorSettings
from sim_adapters.scene.events.settings import StopSignSettings
from tests.scene.hand_made_map import EAST_Y, start_drive


def approach(drive, places, speed=5.0):
    return [drive.step(x, speed=speed).ran_stop_sign.item() for x in places]


@pytest.mark.parametrize(("x", "target"), [(159.9, -1), (160.1, 0)])
def test_a_sign_is_a_target_from_twenty_metres_on(x, target):
    drive = start_drive(x=150.0)
    drive.step(x)
    assert drive.memory.signs.target_stop[0] == target


def test_the_lane_ahead_must_enter_the_box():
    drive = start_drive(x=150.0)
    drive.step(170.0, EAST_Y + 3.5, speed=5.0)  # nearest lane is the westbound one
    assert drive.memory.signs.target_stop[0] == -1


def test_reversing_looks_for_no_sign():
    drive = start_drive(x=150.0)
    drive.step(170.0, speed=-0.2)
    assert drive.memory.signs.target_stop[0] == -1
    drive.step(170.0, speed=-0.1)
    assert drive.memory.signs.target_stop[0] == 0


def test_passing_without_a_stop_is_one_infraction():
    # The rear half crosses the line while the centre is between 180 and 182.446
    assert approach(start_drive(x=160.0), (165, 179.9, 180.5, 181, 182, 185, 190)) == [
        False,
        False,
        True,
        False,
        False,
        False,
        False,
    ]


def test_a_stop_on_the_trigger_box_completes_the_sign():
    drive = start_drive(x=160.0)
    approach(drive, (170, 176))
    drive.step(177.0, speed=0.0)  # front at 179.45, box from 178.5 on
    assert drive.memory.signs.stop_completed[0]
    assert not any(approach(drive, (179, 180.5, 182, 185)))


@pytest.mark.parametrize(("x", "speed"), [(175.0, 0.0), (177.0, 0.2)])
def test_a_stop_too_early_or_a_roll_does_not_complete_it(x, speed):
    drive = start_drive(x=160.0)
    approach(drive, (170,))
    drive.step(x, speed=speed)
    assert approach(drive, (179, 180.5)) == [False, True]


def test_a_sign_left_behind_is_forgotten():
    drive = start_drive(x=160.0)
    approach(drive, (170,))
    drive.step(177.0, speed=0.0)
    approach(drive, (199.9,))
    assert drive.memory.signs.target_stop[0] == 0
    approach(drive, (200.1,))
    assert drive.memory.signs.target_stop[0] == -1


def test_the_leaderboard_sees_a_sign_from_four_metres_only():
    drive = start_drive(x=150.0, settings=DetectorSettings.leaderboard())
    approach(drive, (175.9,))
    assert drive.memory.signs.target_stop[0] == -1
    assert approach(drive, (176.1, 180.5)) == [False, True]


def test_the_raster_shows_a_sign_from_fifty_metres_until_the_stop():
    drive = start_drive(x=120.0)
    shown = drive.memory.signs.shown_stop
    drive.step(129.9)
    assert shown[0] == -1
    drive.step(130.1)
    assert shown[0] == 0
    drive.step(177.0, speed=0.0)
    assert shown[0] == -1
    drive.step(178.0)
    assert shown[0] == -1  # stays hidden while the sign is near


def test_the_raster_drops_a_sign_whose_box_is_behind():
    # The box of 3 m, enlarged by 1.2, ends at x = 181.8
    drive = start_drive(x=120.0)
    shown = drive.memory.signs.shown_stop
    drive.step(170.0)
    drive.step(181.7)
    assert shown[0] == 0
    drive.step(181.9)
    assert shown[0] == -1


def test_the_raster_drops_a_sign_that_the_lane_ahead_leaves_out():
    drive = start_drive(x=150.0)
    drive.step(170.0)
    assert drive.memory.signs.shown_stop[0] == 0
    drive.step(170.0, EAST_Y + 3.5)  # now the westbound lane is the nearest
    assert drive.memory.signs.shown_stop[0] == -1


def test_at_a_fork_the_raster_follows_carla_and_the_vector_our_first_successor():
    # The junction's lane ends at x = 120; CARLA's first way from there turns back
    wide = DetectorSettings(stop_sign=StopSignSettings(shown_range_m=80.0))
    drive = start_drive(x=90.0, settings=wide)
    drive.maps.links.first_ahead[1] = 4
    signs = drive.memory.signs
    drive.step(110.0)
    assert (signs.shown_stop[0], signs.vector_shown_stop[0]) == (-1, 0)
    drive.step(121.0)
    assert (signs.shown_stop[0], signs.vector_shown_stop[0]) == (0, 0)
