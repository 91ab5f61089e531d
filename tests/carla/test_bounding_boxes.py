"""Remembered bounding boxes are the server's own, asked for once."""

from __future__ import annotations

import carla
import pytest

from evaluation.leaderboard_agent.scenario_runner_repair import remember_bounding_boxes


def test_a_box_is_asked_for_once_and_cannot_be_changed_by_its_reader(
    world: carla.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    blueprint = world.get_blueprint_library().find("vehicle.lincoln.mkz_2020")
    car = world.spawn_actor(blueprint, world.get_map().get_spawn_points()[0])
    expected = car.bounding_box
    questions = []
    ask = carla.Actor.bounding_box.fget  # pyright: ignore[reportAttributeAccessIssue]
    counted = property(lambda actor: questions.append(actor.id) or ask(actor))
    monkeypatch.setattr(carla.Actor, "bounding_box", counted)  # and put back afterwards
    remember_bounding_boxes()
    car.bounding_box.extent.x *= 10.0
    assert car.bounding_box == expected
    assert car.bounding_box.rotation == expected.rotation
    assert questions == [car.id]
