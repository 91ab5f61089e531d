"""Actors keep their slots; the nearest get one; the ego's is nobody else's."""

import logging

import numpy as np
import pytest

from sim_adapters.carla.actor_slots import LiveSlots


def _assign(slots: LiveSlots, distances: dict[int, float]) -> dict[int, int]:
    ids, metres = np.array(list(distances)), np.array(list(distances.values()))
    return dict(zip(ids.tolist(), slots.assign(ids, metres).tolist(), strict=True))


def test_an_actor_keeps_its_slot_while_others_come_and_go() -> None:
    slots = LiveSlots(4, enter_m=100.0, leave_m=120.0)
    first = _assign(slots, {11: 30.0, 12: 20.0})
    assert sorted(first.values()) == [1, 2]
    second = _assign(slots, {12: 25.0, 13: 5.0})
    assert second[12] == first[12]
    assert second[13] not in (0, first[12])


def test_an_actor_at_the_edge_does_not_flicker() -> None:
    slots = LiveSlots(4, enter_m=100.0, leave_m=120.0)
    assert _assign(slots, {11: 110.0})[11] == -1  # not near enough to enter
    assert _assign(slots, {11: 90.0})[11] == 1
    assert _assign(slots, {11: 110.0})[11] == 1  # but near enough to stay
    assert _assign(slots, {11: 121.0})[11] == -1


def test_the_nearest_get_the_slots_and_the_lack_is_reported_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    slots = LiveSlots(3, enter_m=100.0, leave_m=120.0)
    with caplog.at_level(logging.WARNING):
        assigned = _assign(slots, {11: 50.0, 12: 10.0, 13: 20.0})
        _assign(slots, {11: 50.0, 12: 10.0, 13: 20.0})
    assert assigned[11] == -1
    assert {assigned[12], assigned[13]} == {1, 2}
    assert len(caplog.records) == 1
    assert "max_actors" in caplog.text


def test_a_new_episode_finds_all_slots_free() -> None:
    slots = LiveSlots(3, enter_m=100.0, leave_m=120.0)
    _assign(slots, {11: 1.0, 12: 2.0})
    slots.clear()
    assert slots.slot(11) == -1
    assert sorted(_assign(slots, {21: 1.0, 22: 2.0}).values()) == [1, 2]
