"""Things beside the road stand where the map has room, and are still there on return."""

from typing import Any

import numpy as np
import pytest

from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.scene.lane_lookup import nearest_lane_point
from sim_adapters.scene.map_bank import LaneKind, MapBank
from sim_adapters.scene.map_layers import LayerBit, layer_pixel
from sim_adapters.scene.state import ActorKind, SceneBatch, empty_scene
from sim_adapters.world.handles import world_scene
from sim_adapters.world.slots import SlotRange
from sim_adapters.world.statics import (
    StandingPlaces,
    StaticSettings,
    build_standing_places,
    empty_standing_things,
    reset_statics_range,
    step_statics_range,
)

SLOTS = 25


@pytest.fixture(scope="module")
def maps() -> MapBank:
    return load_map_bank(["Town03"])


@pytest.fixture(scope="module")
def places(maps: MapBank) -> StandingPlaces:
    return build_standing_places(maps)


class Street:
    """One world with the ego at a parking place and nothing else yet."""

    def __init__(self, places: StandingPlaces, settings: StaticSettings, seed: int = 1) -> None:
        self.scene: SceneBatch = empty_scene(1, SLOTS, num_lights=1, num_route_points=2)
        self.things = empty_standing_things(1, SLOTS)
        self.places, self.settings = places, settings
        self.scene.traits.valid[0, 0] = True
        self.scene.clocks.seed[0] = seed
        self.go_to(int(np.flatnonzero(places.is_parking)[10]))
        arguments = self._arguments()
        reset_statics_range(0, 1, *arguments)

    def go_to(self, place: int) -> None:
        """Put the ego at a place."""
        self.scene.motion.x[0, 0] = self.places.x[place]
        self.scene.motion.y[0, 0] = self.places.y[place]

    def _arguments(self) -> tuple[Any, ...]:
        slots = SlotRange(1, SLOTS)
        return world_scene(self.scene), self.things, self.places, self.settings, slots

    def look(self) -> None:
        """One step in which the world looks around."""
        arguments: tuple[Any, ...] = (*self._arguments(), 0.1)
        step_statics_range(0, 1, *arguments)

    def shown(self) -> dict[int, tuple[float, float]]:
        """Size of what stands at each place."""
        traits = self.scene.traits
        return {
            int(self.things.place[0, slot]): (
                float(traits.half_length_m[0, slot]),
                float(traits.half_width_m[0, slot]),
            )
            for slot in range(1, SLOTS)
            if traits.valid[0, slot]
        }


def test_parked_cars_leave_the_driving_lanes_free(maps: MapBank, places: StandingPlaces) -> None:
    street = Street(places, StaticSettings(parked_share=1.0, furniture_share=0.0))
    assert len(street.shown()) >= 5
    motion, traits = street.scene.motion, street.scene.traits
    layers = maps.layers
    for slot in np.flatnonzero(traits.valid[0])[1:]:
        assert traits.kind[0, slot] == ActorKind.STATIC
        x, y, yaw = (array[0, slot] for array in (motion.x, motion.y, motion.yaw_rad))
        for side in (-1.0, 1.0):
            reach = side * (traits.half_width_m[0, slot] - 0.3)
            corner = (x - reach * np.sin(yaw), y + reach * np.cos(yaw))
            column = round((corner[0] - layers.origin_x[0]) * layers.pixels_per_meter[0])
            row = round((corner[1] - layers.origin_y[0]) * layers.pixels_per_meter[0])
            assert not layer_pixel(layers, 0, column, row) & LayerBit.DRIVING


def test_parking_places_lie_on_parking_lanes_or_shoulders(
    maps: MapBank, places: StandingPlaces
) -> None:
    rows = np.flatnonzero(places.is_parking)[::7]
    on_parking = [
        nearest_lane_point(
            maps.grid,
            maps.points,
            maps.lanes,
            0,
            float(places.x[row]),
            float(places.y[row]),
            float(places.z[row]),
            int(LaneKind.PARKING),
        )
        >= 0
        for row in rows
    ]
    assert np.mean(on_parking) > 0.3  # the others are wide shoulders


def test_share_decides_how_many_places_are_taken(places: StandingPlaces) -> None:
    counts = []
    for share in (0.0, 0.5, 1.0):
        settings = StaticSettings(parked_share=share, furniture_share=0.0, radius_m=25.0)
        counts.append(
            np.mean([len(Street(places, settings, seed=seed).shown()) for seed in range(8)])
        )
    assert counts[0] == 0.0
    assert counts[1] == pytest.approx(0.5 * counts[2], rel=0.3)


def test_things_are_still_there_when_the_ego_returns(places: StandingPlaces) -> None:
    street = Street(places, StaticSettings(radius_m=50.0, despawn_m=60.0))
    before = street.shown()
    here = int(np.flatnonzero(places.is_parking)[10])
    squared = (places.x - places.x[here]) ** 2 + (places.y - places.y[here]) ** 2
    street.go_to(int(np.argmax(squared)))
    street.look()
    assert not before.keys() & street.shown().keys()
    street.go_to(here)
    street.look()
    assert street.shown() == before


def test_another_seed_parks_other_cars(places: StandingPlaces) -> None:
    assert (
        Street(places, StaticSettings(), 1).shown() != Street(places, StaticSettings(), 2).shown()
    )
