"""The parts of an OpenDRIVE file that `carla.Map` does not expose, read from its XML.

Lane geometry comes from `carla.Map` (see `lane_samples`); here are lane sections, signals with
their lanes, controllers and objects. OpenDRIVE's frame is right-handed already.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple
from xml.etree import ElementTree

from sim_adapters.maps.safe_xml import parse_xml
from sim_adapters.scene.map_bank import MapBank

# What CARLA takes for a traffic light (LibCarla, road/SignalType.cpp, IsTrafficLight): lights for
# cars with or without arrows, for pedestrians, cyclists and trams
LIGHT_TYPES = frozenset(
    {"1000001", "1000002", *(str(code) for code in range(1000007, 1000021)), "F", "W", "A"}
)
STOP_TYPE = "206"
YIELD_TYPE = "205"
LIMIT_TYPE = "274"


@dataclass(frozen=True)
class LaneSection:
    """One lane section of a road."""

    start_m: float  # road coordinate s
    end_m: float
    lane_types: dict[int, str]  # lane id -> OpenDRIVE type, lower case; without the centre lane


@dataclass(frozen=True)
class SignalReference:
    """A signal's hold on lanes of one road: the signal itself or a `signalReference` to it."""

    signal_id: str
    road_id: int
    s_m: float
    orientation: str  # "+", "-" or "none"
    validity: tuple[tuple[int, int], ...]  # lane id ranges; empty: by orientation

    def applies_to(self, lane_id: int) -> bool:
        """Whether the reference holds for a lane of its road (lane 0 never)."""
        if lane_id == 0:
            return False
        if self.validity:
            return any(first <= lane_id <= last for first, last in self.validity)
        # CARLA: "+" is for lanes 1..max, "-" for min..-1, anything else for both
        return self.orientation not in "+-" or (lane_id > 0) == (self.orientation == "+")


@dataclass(frozen=True)
class RoadObject:
    """An `object` of a road (crosswalks, painted or posted speed limits, parking places)."""

    road_id: int
    name: str
    object_type: str
    s_m: float
    t_m: float
    z_offset_m: float
    heading_rad: float
    orientation: str
    outline: tuple[tuple[float, float, float], ...]  # cornerLocal u, v, z


@dataclass(frozen=True)
class Road:
    """One road; `sections` in order of s."""

    road_id: int
    junction_id: int  # -1 outside
    length_m: float
    sections: tuple[LaneSection, ...]
    keeps_left: bool = False  # rule="LHT": lanes of positive id are driven along s, not against it

    def drives_along_s(self, lane_id: int) -> bool:
        """Whether traffic on a lane goes the way of the road's s."""
        return (lane_id > 0) == self.keeps_left


@dataclass(frozen=True)
class OpenDriveDocument:
    """What we keep of the file."""

    roads: tuple[Road, ...]
    signal_types: dict[str, str]  # signal id -> OpenDRIVE type
    signal_values: dict[str, float]  # signal id -> value (km/h of a speed-limit sign)
    dynamic_signals: frozenset[str]  # ids of those that change what they show
    references: tuple[SignalReference, ...]
    objects: tuple[RoadObject, ...]
    junction_controllers: dict[int, tuple[str, ...]]  # junction id -> controller ids in order
    controller_signals: dict[str, tuple[str, ...]]  # controller id -> signal ids


def parse_document(text: bytes) -> OpenDriveDocument:
    """Read the XML.

    Raises:
        ValueError: not OpenDRIVE, a document type declaration (which no map needs and which
            could expand without bound), or a direction of travel that CARLA's parser misses.
    """
    root = parse_xml(text)
    if root.tag != "OpenDRIVE" or root.find("road") is None:
        raise ValueError("the file is not an OpenDRIVE map: it has no <road> below <OpenDRIVE>")
    roads = root.findall("road")
    signals = [signal for road in roads for signal in road.iterfind("signals/signal")]
    return OpenDriveDocument(
        roads=tuple(_road(road) for road in roads),
        signal_types={_text(signal, "id"): _text(signal, "type") for signal in signals},
        signal_values={_text(signal, "id"): _number(signal, "value") for signal in signals},
        dynamic_signals=frozenset(
            _text(signal, "id") for signal in signals if _text(signal, "dynamic") == "yes"
        ),
        references=tuple(
            _reference(road, element)
            for road in roads
            for path in ("signals/signal", "signals/signalReference")
            for element in road.iterfind(path)
        ),
        objects=tuple(
            _road_object(road, element)
            for road in roads
            for element in road.iterfind("objects/object")
        ),
        junction_controllers={
            _integer(junction, "id"): tuple(
                _text(controller, "id") for controller in junction.iterfind("controller")
            )
            for junction in root.iterfind("junction")
        },
        controller_signals={
            _text(controller, "id"): tuple(
                dict.fromkeys(_text(control, "signalId") for control in controller)
            )
            for controller in root.iterfind("controller")
        },
    )


def _text(element: ElementTree.Element, name: str) -> str:
    return element.get(name, "")


def _number(element: ElementTree.Element, name: str) -> float:
    """Value of a numeric attribute, zero where it is missing."""
    text = element.get(name) or "0"
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"<{element.tag}> has {name}={text!r}, expected a number")
    return value


def _integer(element: ElementTree.Element, name: str) -> int:
    text = element.get(name, "")
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"<{element.tag}> has {name}={text!r}, expected an integer") from None


def _road(road: ElementTree.Element) -> Road:
    length_m = _number(road, "length")
    sections = road.findall("lanes/laneSection")
    if not sections:
        raise ValueError(f"road {road.get('id')} has no lane section")
    starts = [_number(section, "s") for section in sections]
    _refuse_reversed_lanes(road)
    return Road(
        road_id=_integer(road, "id"),
        junction_id=_integer(road, "junction") if road.get("junction") else -1,
        length_m=length_m,
        sections=tuple(
            LaneSection(
                start_m=start,
                end_m=end,
                lane_types={
                    _integer(lane, "id"): _text(lane, "type").lower()
                    for side in ("left", "right")
                    for lane in section.iterfind(f"{side}/lane")
                },
            )
            for section, start, end in zip(sections, starts, [*starts[1:], length_m], strict=True)
        ),
        keeps_left=_keeps_left(road),
    )


def _keeps_left(road: ElementTree.Element) -> bool:
    """Side of the traffic; CARLA would drive on the right for any other spelling of "LHT"."""
    rule = road.get("rule") or "RHT"
    if rule not in ("RHT", "LHT"):
        raise ValueError(f'road {road.get("id")} has rule="{rule}", expected "RHT" or "LHT"')
    return rule == "LHT"


def _refuse_reversed_lanes(road: ElementTree.Element) -> None:
    """OpenDRIVE 1.8 can turn single lanes round, which CARLA's parser reads over."""
    for side in ("left", "right"):
        for lane in road.iterfind(f"lanes/laneSection/{side}/lane"):
            if (
                lane.get("type") == "driving"
                and (lane.get("direction") or "standard") != "standard"
            ):
                raise ValueError(
                    f"lane {lane.get('id')} of road {road.get('id')} has "
                    f'direction="{lane.get("direction")}", which CARLA does not know: draw it as '
                    f"a lane of the other side, or as a road of its own"
                )


def _reference(road: ElementTree.Element, element: ElementTree.Element) -> SignalReference:
    ranges = [
        (_integer(validity, "fromLane"), _integer(validity, "toLane"))
        for validity in element.iterfind("validity")
    ]
    return SignalReference(
        signal_id=_text(element, "id"),
        road_id=_integer(road, "id"),
        s_m=_number(element, "s"),
        orientation=_text(element, "orientation") or "none",
        validity=tuple((min(ends), max(ends)) for ends in ranges),
    )


def _road_object(road: ElementTree.Element, element: ElementTree.Element) -> RoadObject:
    return RoadObject(
        road_id=_integer(road, "id"),
        name=_text(element, "name"),
        object_type=_text(element, "type").lower(),
        s_m=_number(element, "s"),
        t_m=_number(element, "t"),
        z_offset_m=_number(element, "zOffset"),
        heading_rad=_number(element, "hdg"),
        orientation=_text(element, "orientation") or "none",
        outline=tuple(
            (_number(corner, "u"), _number(corner, "v"), _number(corner, "z"))
            for corner in element.iterfind("outline/cornerLocal")
        ),
    )


# Maps moved to the origin where CARLA's library would bend them.
#
# `carla.Map` keeps places as float32. Files in UTM coordinates lie at millions of metres, where its
# steps are half a metre. Lanes, signals and objects hang on the reference lines of their roads, so
# moving those moves everything.

FARTHEST_M = 2.0**15  # float32 steps are 4 mm there; CARLA's own largest maps reach 10 km
NO_PLACE_M = 1e8  # no projection of the earth reaches so far; float64 steps are 15 nm there
WIDEST_M = 2.0**18  # at both ends of such a map the steps are 8 mm


class CentredMap(NamedTuple):
    """A document near the origin, and what to add to its places to get those of the file."""

    document: bytes
    shift_x: float  # [m] whole metres, zero where nothing had to be moved
    shift_y: float


def centred(document: bytes) -> CentredMap:
    """The document itself, or with its middle at the origin if it lies farther than `FARTHEST_M`.

    Raises:
        ValueError: no XML, a place that is no number or none on earth, or a map too wide for any
            shift.
    """
    root = parse_xml(document)
    geometries = root.findall("road/planView/geometry")
    x = [_coordinate(geometry, "x") for geometry in geometries]
    y = [_coordinate(geometry, "y") for geometry in geometries]
    farthest_m = max((abs(value) for value in (*x, *y)), default=0.0)
    if farthest_m <= FARTHEST_M:
        return CentredMap(document, 0.0, 0.0)
    if farthest_m > NO_PLACE_M:
        raise ValueError(
            f"a road begins {farthest_m:.1e} m from the origin, further than any place on earth: "
            "look for a wrong coordinate"
        )
    width_m = max(max(x) - min(x), max(y) - min(y))
    if width_m > WIDEST_M:
        raise ValueError(
            f"its roads begin up to {width_m / 1000.0:.0f} km apart, at most "
            f"{WIDEST_M / 1000.0:.0f} km can be read: split the map"
        )
    shift_x, shift_y = (float(round((min(axis) + max(axis)) / 2.0)) for axis in (x, y))
    for geometry, here_x, here_y in zip(geometries, x, y, strict=True):
        geometry.set("x", repr(here_x - shift_x))
        geometry.set("y", repr(here_y - shift_y))
    return CentredMap(ElementTree.tostring(root), shift_x, shift_y)


def _coordinate(geometry: ElementTree.Element, name: str) -> float:
    text = geometry.get(name) or "0"
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"<geometry> has {name}={text!r}, expected a number")
    return value


def moved(bank: MapBank, shift_x: float, shift_y: float) -> MapBank:
    """A bank of one town with all its places moved, in place."""
    tables = (bank.points, bank.signals, bank.stop_lines, bank.signs)
    columns = [(table.x, table.y) for table in (*tables, bank.limit_posts, bank.crosswalks)]
    columns += [(table.origin_x, table.origin_y) for table in (bank.grid, bank.layers)]
    for x, y in columns:
        x += shift_x
        y += shift_y
    return bank
