"""Compares a live world with our map of its town and our tables: what no drive is needed for.

Every row says what the server has, what we have, and whether both are the same.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import NamedTuple

import carla
import numpy as np
from numpy.typing import NDArray

from sim_adapters.array_types import FloatArray
from sim_adapters.carla.frames import from_carla_location
from sim_adapters.carla.live_lights import LIGHT_TYPE, LiveLights
from sim_adapters.carla.scene_reader import actor_kind
from sim_adapters.maps.town_files import find_town_file, read_town_document
from sim_adapters.maps.traffic_lights import TriggerVolume, stop_places
from sim_adapters.scene.map_bank import MapBank, SignKind
from sim_adapters.world.vehicle_catalogue import (
    PROP_HALF_HEIGHT_M,
    PROP_HALF_LENGTH_M,
    PROP_HALF_WIDTH_M,
    PROP_NAMES,
    VEHICLE_HALF_HEIGHT_M,
    VEHICLE_HALF_LENGTH_M,
    VEHICLE_HALF_WIDTH_M,
    VEHICLE_KIND,
    VEHICLE_NAMES,
    WALKER_HALF_HEIGHT_M,
    WALKER_HALF_LENGTH_M,
    WALKER_HALF_WIDTH_M,
)

SAME_PLACE_M = 0.5  # between two trigger volumes or stop lines
SAME_SIZE_M = 0.01
KMH_PER_MPS = 3.6
STOP_TYPE, LIMIT_TYPE = "traffic.stop", "traffic.speed_limit.*"
SAME_SIGN_M = 3.0  # between two stop signs, of which one may have been placed by hand
SPAWN_HEIGHT_M = 3.0  # above a spawn point, where nothing is in the way
MOST_NAMED = 3

_logger = logging.getLogger(__name__)


class CheckRow(NamedTuple):
    """One line of the table."""

    what: str
    server: str
    ours: str
    difference: str = ""
    agrees: bool | None = None  # None: a fact, which nothing is to be held against


def check_map(world: carla.World, maps: MapBank, town: str) -> list[CheckRow]:
    """The OpenDRIVE file, lights, stop signs and limit signs of the loaded town.

    Args:
        world: The live world.
        maps: Holds its town.
        town: Its name, or the file that it was read from.
    """
    map_index = 0 if len(maps.towns) == 1 else maps.map_index(town)
    lights = LiveLights(world, maps, map_index)
    return [
        _map_file(world, town),
        *_lights(world, lights, maps, map_index),
        *_signs(world, maps, map_index, SignKind.STOP, STOP_TYPE, "stop signs"),
        *_signs(world, maps, map_index, SignKind.SPEED_LIMIT, LIMIT_TYPE, "limit signs"),
    ]


def check_bodies(world: carla.World) -> list[CheckRow]:
    """Half extents of vehicles, walkers and props; each is spawned and removed again."""
    vehicles = np.column_stack([VEHICLE_HALF_LENGTH_M, VEHICLE_HALF_WIDTH_M, VEHICLE_HALF_HEIGHT_M])
    props = np.column_stack([PROP_HALF_LENGTH_M, PROP_HALF_WIDTH_M, PROP_HALF_HEIGHT_M])
    walkers = np.column_stack([WALKER_HALF_LENGTH_M, WALKER_HALF_WIDTH_M, WALKER_HALF_HEIGHT_M])
    bodies = _Bodies(world)
    names = [f"vehicle.{name}" for name in VEHICLE_NAMES]
    rows = bodies.compare("vehicles", "vehicle.*", dict(zip(names, vehicles, strict=True)))
    kinds = [(name, kind) for name, kind in bodies.kinds.items() if name in names]
    other = [name for name, kind in kinds if kind != VEHICLE_KIND[names.index(name)]]
    rows.append(
        CheckRow("vehicle kinds", f"{len(kinds)}", f"{len(names)}", _named(other), not other)
    )
    names = [f"static.prop.{name}" for name in PROP_NAMES]
    rows += bodies.compare("props", None, dict(zip(names, props, strict=True)))
    rows.append(bodies.compare_walkers(walkers))
    return rows


def nearest_gaps(expected: FloatArray, found: FloatArray) -> FloatArray:
    """Distance from each of `expected` (N, 2) to the nearest of `found` (M, 2), (N,)."""
    if not len(expected) or not len(found):
        return np.full(len(expected), np.inf)
    return np.hypot(*(expected[:, None] - found[None]).transpose(2, 0, 1)).min(axis=1)


def gap_text(gaps: FloatArray, unit: str = "m") -> str:
    """Median and largest of some differences."""
    known = gaps[np.isfinite(gaps)]
    lost = f", {len(gaps) - len(known)} without a counterpart" if len(known) < len(gaps) else ""
    if not len(known):
        return lost.removeprefix(", ")
    return f"median {np.median(known):.2f} {unit}, largest {known.max():.2f} {unit}{lost}"


def _map_file(world: carla.World, town: str) -> CheckRow:
    served = world.get_map().to_opendrive()
    own = read_town_document(find_town_file(town)).decode()
    same = served.split() == own.split()  # ends of lines differ between packages
    return CheckRow(
        "OpenDRIVE file",
        f"{len(served):,} characters",
        f"{len(own):,} characters",
        "the same" if same else "another file: set CARLA_ROOT, so that map and server agree",
        same,
    )


def _lights(
    world: carla.World, lights: LiveLights, maps: MapBank, map_index: int
) -> list[CheckRow]:
    first = int(maps.ranges.signal[map_index])
    num_actors = len(world.get_actors().filter(LIGHT_TYPE))
    numbers = (num_actors, lights.num_lights, lights.num_matched)
    rows = [
        CheckRow(
            "traffic lights",
            f"{num_actors}",
            f"{lights.num_lights}",
            f"{lights.num_matched} matched",
            len(set(numbers)) == 1,
        )
    ]
    found = [(row, lights.light(row)) for row in range(lights.num_lights)]
    matched = [(row, actor) for row, actor in found if actor is not None]
    if not matched:
        return rows
    centres = np.array([_trigger_centre(actor) for _, actor in matched])
    signals = [first + row for row, _ in matched]
    own = np.column_stack([maps.signals.x[signals], maps.signals.y[signals]])
    gaps = np.hypot(*(centres - own).T)
    rows.append(_places("lights' trigger volumes", len(centres), len(own), gaps))
    rows.append(_stop_lines(world.get_map(), [actor for _, actor in matched], signals, maps))
    rows.append(_light_times(matched, maps, signals))
    return rows


def _stop_lines(
    carla_map: carla.Map,
    lights: Sequence[carla.TrafficLight],
    signals: Sequence[int],
    maps: MapBank,
) -> CheckRow:
    """Where the leaderboard's walk from the server's trigger volumes ends, and our stop lines."""
    lines, gaps, num_places = maps.stop_lines, [], 0
    for light, signal in zip(lights, signals, strict=True):
        places = stop_places(carla_map, _volume(light))
        found = np.array([place[2:4] for place in places]).reshape(-1, 2)
        rows = np.flatnonzero(lines.signal == signal)
        own = np.column_stack([lines.x[rows], lines.y[rows]])
        gaps += [nearest_gaps(own, found), nearest_gaps(found, own)]
        num_places += len(places)
    num_own = int(np.isin(lines.signal, signals).sum())
    return _places("stop lines before lights", num_places, num_own, np.concatenate(gaps))


def _volume(light: carla.TrafficLight) -> TriggerVolume:
    pose, box = light.get_transform(), light.trigger_volume
    x, y, z = from_carla_location(pose.transform(box.location))
    return TriggerVolume(x, y, z, -math.radians(pose.rotation.yaw), box.extent.x)


def _light_times(
    matched: Sequence[tuple[int, carla.TrafficLight]], maps: MapBank, signals: Sequence[int]
) -> CheckRow:
    served = np.array(
        [[a.get_green_time(), a.get_yellow_time(), a.get_red_time()] for _, a in matched]
    )
    groups = maps.signals.group[list(signals)]
    times = maps.groups
    own = np.column_stack([times.green_s[groups], times.yellow_s[groups], times.red_s[groups]])
    worst = float(np.abs(served - own).max())
    served_text, own_text = (
        ", ".join(sorted({"/".join(f"{time:g}" for time in row) for row in side.round(2)}))
        for side in (served, own)
    )
    return CheckRow(
        "green/yellow/red [s]", served_text, own_text, f"largest {worst:.2f} s", worst < 0.01
    )


def _signs(
    world: carla.World, maps: MapBank, map_index: int, kind: SignKind, actors: str, what: str
) -> list[CheckRow]:
    signs = maps.signs
    rows = np.arange(maps.ranges.sign[map_index], maps.ranges.sign[map_index + 1])
    rows = rows[signs.kind[rows] == kind]
    own = np.column_stack([signs.x[rows], signs.y[rows]])
    found = [a for a in world.get_actors().filter(actors) if isinstance(a, carla.TrafficSign)]
    places = np.array([_trigger_centre(actor) for actor in found]).reshape(-1, 2)
    if not len(own) and not len(places):
        return [CheckRow(what, "0", "0", "", True)]
    gaps = np.concatenate([nearest_gaps(own, places), nearest_gaps(places, own)])
    checked = [_places(what, len(places), len(own), gaps)]
    if kind is SignKind.SPEED_LIMIT and len(own) and len(places):
        limits = np.array([float(actor.type_id.rsplit(".", 1)[-1]) for actor in found])
        nearest = np.hypot(*(own[:, None] - places[None]).transpose(2, 0, 1)).argmin(axis=1)
        wrong = np.abs(limits[nearest] - KMH_PER_MPS * signs.value[rows]) > 0.5
        checked.append(
            CheckRow(
                "limits on them [km/h]",
                ", ".join(f"{v:g}" for v in np.unique(limits)),
                ", ".join(f"{v:g}" for v in np.unique((KMH_PER_MPS * signs.value[rows]).round())),
                f"{int(wrong.sum())} differ",
                not wrong.any(),
            )
        )
    return checked


def _places(what: str, num_served: int, num_own: int, gaps: FloatArray) -> CheckRow:
    fits = num_own > 0 and bool((gaps <= SAME_PLACE_M).all())
    return CheckRow(what, f"{num_served}", f"{num_own}", gap_text(gaps), fits)


def _trigger_centre(actor: carla.TrafficSign) -> tuple[float, float]:
    centre = actor.get_transform().transform(actor.trigger_volume.location)
    return from_carla_location(centre)[:2]


class _Bodies:
    """Spawns one actor after the other, and measures it.

    Args:
        world: The live world.
    """

    def __init__(self, world: carla.World) -> None:
        self._world = world
        self._library = world.get_blueprint_library()
        self._served = {blueprint.id for blueprint in self._library}
        self._places = world.get_map().get_spawn_points()
        self.kinds: dict[str, int] = {}  # ActorKind by blueprint, of those measured

    def compare(self, what: str, pattern: str | None, own: dict[str, FloatArray]) -> list[CheckRow]:
        """Half extents of these blueprints; `pattern` finds those that only the server has."""
        sizes = {name: size for name in own if (size := self._size(name)) is not None}
        worst = {name: float(np.abs(sizes[name] - own[name]).max()) for name in sizes}
        off = sorted((n for n in worst if worst[n] > SAME_SIZE_M), key=worst.__getitem__)[::-1]
        missing = [name for name in own if name not in self._served]
        served = {b.id for b in self._library.filter(pattern)} if pattern else set(own) - {*missing}
        more = sorted(served - own.keys())
        gaps = np.array(list(worst.values()))
        texts = [gap_text(gaps)] if len(gaps) else []
        texts += [f"not the same: {_named(off)}"] if off else []
        texts += [f"not there: {_named(missing)}"] if missing else []
        texts += [f"unknown to us: {_named(more)}"] if more else []
        agrees = not (off or more) and len(sizes) > 0
        title = f"sizes of {what} (half)"
        return [CheckRow(title, f"{len(served)}", f"{len(own)}", "; ".join(texts), agrees)]

    def compare_walkers(self, own: FloatArray) -> CheckRow:
        """Half extents of all the server's walkers, against the nearest of our three kinds."""
        names = sorted(b.id for b in self._library.filter("walker.pedestrian.*"))
        sizes = [size for name in names if (size := self._size(name)) is not None]
        if not sizes:
            return CheckRow("sizes of walkers (half)", f"{len(names)}", f"{len(own)} kinds")
        gaps = np.abs(np.array(sizes)[:, None] - own[None]).max(axis=2).min(axis=1)
        fits = bool((gaps <= SAME_SIZE_M).all())
        kinds = f"{len(own)} kinds"
        return CheckRow("sizes of walkers (half)", f"{len(names)}", kinds, gap_text(gaps), fits)

    def _size(self, name: str) -> FloatArray | None:
        """Half extents (3,) of a blueprint's actor; None if the server has or spawns none."""
        if name not in self._served:
            return None
        for place in self._places:
            at = place.location
            above = carla.Location(at.x, at.y, at.z + SPAWN_HEIGHT_M)
            actor = self._world.try_spawn_actor(
                self._library.find(name), carla.Transform(above, place.rotation)
            )
            if actor is not None:
                extent = actor.bounding_box.extent
                self.kinds[name] = int(actor_kind(actor))
                actor.destroy()
                return np.array([extent.x, extent.y, extent.z])
        return None


def _named(names: Sequence[str]) -> str:
    """The first of some blueprints, and how many more there are."""
    if not names:
        return ""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


# Whether a live world's stop signs are those of the map, by which they are judged and drawn.
#
# Detectors and observations read signs from the MapBank, which places them by CARLA's own rules for
# generated signs. A level in which signs were placed by hand may differ: that is said once a town.


def check_stop_signs(world: carla.World, maps: MapBank, map_index: int) -> tuple[int, int]:
    """Compare the server's stop signs with the map's, and warn where they differ.

    Returns:
        How many of the map's have no actor near, and how many actors no sign of the map near.
    """
    signs = maps.signs
    rows = np.arange(maps.ranges.sign[map_index], maps.ranges.sign[map_index + 1])
    rows = rows[signs.kind[rows] == SignKind.STOP]
    expected = np.column_stack([signs.x[rows], signs.y[rows]])
    found = stop_sign_places(world)
    if len(expected) and len(found):
        gaps = np.hypot(*(expected[:, None] - found[None]).transpose(2, 0, 1))
        num_missing = int((gaps.min(axis=1) > SAME_SIGN_M).sum())
        num_unknown = int((gaps.min(axis=0) > SAME_SIGN_M).sum())
    else:
        num_missing, num_unknown = len(expected), len(found)
    if num_missing or num_unknown:
        _logger.warning(
            "%s: %d of the map's %d stop signs have no actor on the server, %d of the server's %d "
            "are not where the map has one: stops are judged by the map",
            *(maps.towns[map_index], num_missing, len(expected), num_unknown, len(found)),
        )
    return num_missing, num_unknown


def stop_sign_places(world: carla.World) -> NDArray[np.float64]:
    """Centres of the trigger boxes of all stop-sign actors, (N, 2), in our frame."""
    places = []
    for actor in world.get_actors().filter(STOP_TYPE):
        assert isinstance(actor, carla.TrafficSign)
        centre = actor.get_transform().transform(actor.trigger_volume.location)
        places.append(from_carla_location(centre)[:2])
    return np.array(places, np.float64).reshape(-1, 2)
