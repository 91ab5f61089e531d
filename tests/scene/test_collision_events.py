"""Contacts become collisions once: by actor for 5 s, by place until the ego has left it."""

from rewards.driving_events import CollisionKind
from sim_adapters.scene.events.detection import DetectorSettings
from sim_adapters.scene.state import ActorKind
from tests.rewards.reward_scenes import load_config
from tests.scene.hand_made_map import start_drive


def touch(drive, other_slot, x, speed=5.0):
    """Events of a step in which the ego at x touches a slot (-2: map geometry, -1: nothing)."""
    contacts = drive.scene.contacts
    contacts.other_slot[:] = -1
    contacts.other_slot[0, 1] = other_slot
    contacts.x[0, 1], contacts.y[0, 1] = x, -1.75
    return drive.step(x, speed=speed)


def drive_beside(*kinds):
    drive = start_drive(x=20.0)
    for slot, kind in enumerate(kinds, start=1):
        drive.place(slot, kind, 200.0, 15.0)
    return drive


def test_a_contact_is_a_collision_of_its_kind():
    kinds = {
        ActorKind.TRUCK: CollisionKind.VEHICLE,
        ActorKind.BICYCLE: CollisionKind.VEHICLE,
        ActorKind.PEDESTRIAN: CollisionKind.PEDESTRIAN,
        ActorKind.STATIC: CollisionKind.STATIC,
    }
    for actor_kind, kind in kinds.items():
        events = touch(drive_beside(actor_kind), 1, 20.0)
        assert events.collision.item()
        assert events.collision_kind.item() == kind
    events = touch(drive_beside(), -2, 20.0)
    assert events.collision_kind.item() == CollisionKind.STATIC


def test_without_contact_nothing_collides():
    events = touch(drive_beside(ActorKind.CAR), -1, 20.0)
    assert not events.collision.item()
    assert events.collision_kind.item() == CollisionKind.NONE


def test_the_same_actor_does_not_count_again_within_five_seconds():
    drive = drive_beside(ActorKind.CAR)
    assert touch(drive, 1, 20.0).collision.item()
    assert not touch(drive, 1, 30.0).collision.item()  # elsewhere, 0.1 s later
    drive.scene.clocks.elapsed_s[:] = 5.15
    assert touch(drive, 1, 40.0).collision.item()


def test_another_actor_at_the_same_place_does_not_count():
    drive = drive_beside(ActorKind.CAR, ActorKind.CAR)
    assert touch(drive, 1, 20.0).collision.item()
    assert not touch(drive, 2, 22.9).collision.item()
    assert touch(drive, 2, 23.1).collision.item()


def test_a_place_counts_again_after_the_ego_has_been_five_metres_away():
    drive = drive_beside()
    assert touch(drive, -2, 20.0).collision.item()
    touch(drive, -1, 24.9)
    assert not touch(drive, -2, 20.0).collision.item()
    touch(drive, -1, 25.1)
    assert touch(drive, -2, 20.0).collision.item()


def test_map_geometry_is_remembered_by_place_only():
    drive = drive_beside()
    assert touch(drive, -2, 20.0).collision.item()
    assert touch(drive, -2, 24.0).collision.item()


def test_a_new_episode_knows_no_earlier_collision():
    drive = drive_beside(ActorKind.CAR)
    assert touch(drive, 1, 20.0).collision.item()
    drive.restart(20.0)
    assert touch(drive, 1, 20.0).collision.item()


def test_the_leaderboard_does_not_blame_a_standing_ego():
    leaderboard = start_drive(settings=DetectorSettings.leaderboard())
    assert not touch(leaderboard, -2, 20.0, speed=0.05).collision.item()
    assert touch(leaderboard, -2, 20.0, speed=0.2).collision.item()
    assert touch(drive_beside(), -2, 20.0, speed=0.05).collision.item()


def test_the_driver_learns_that_whoever_is_touched_is_to_blame():
    learning = start_drive(settings=load_config("detector", "driver"))
    assert touch(learning, -2, 20.0, speed=0.0).collision.item()
