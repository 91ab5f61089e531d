"""Reads and writes the CARLA leaderboard's route files, both formats.

Leaderboard 1: `routes > route > waypoint*, weather?`, without scenarios. Roach's files are of this
kind with the waypoints inside `<ego_vehicle>` and the town in the name of the file's folder.
Leaderboard 2: `routes > route > weathers, waypoints > position*, scenarios > scenario*`.

The files are in CARLA's left-handed frame (y right of x, yaw clockwise in degrees). It is flipped
here, in both directions; `RouteSpec` is in ours. Source: spec of both formats as published with
the CARLA leaderboard (MIT).
"""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import numpy as np
from numpy.typing import NDArray

from sim_adapters.maps.safe_xml import read_xml
from sim_adapters.maps.town_files import short_town_name
from sim_adapters.scene.scenario import ScenarioTrigger

# Ids that become parts of file names: names, never paths.

MAX_NAME_BYTES = 100  # file systems take 255, of which the rest of the name needs some
# Beside what paths are made of also what makes a name look like another: marks that nobody sees
_NOT_IN_NAMES = re.compile(
    r'[/\\:*?"<>|\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]'
)


def checked_name(text: str, what: str) -> str:
    """An id that may stand in a file's name, as it is.

    Args:
        text: The id, e.g. of a route.
        what: Names it in messages.

    Raises:
        ValueError: it could lead to another folder, or no file system would take it.
    """
    if not text.strip() or text != text.strip() or text.startswith("."):
        problem = "begins with a dot or a blank" if text.strip() else "is empty"
    elif found := _NOT_IN_NAMES.search(text):
        problem = f"has {found[0]!r} in it"
    elif len(text.encode(errors="replace")) > MAX_NAME_BYTES:
        problem = f"is longer than {MAX_NAME_BYTES} bytes"
    else:
        return text
    shown = text if len(text) <= MAX_NAME_BYTES else f"{text[:40]}..."
    raise ValueError(
        f"{what} {shown!r} {problem}: ids become parts of file names, so give it a plain name"
    )


# The leaderboard's own for routes that say nothing. Its evaluator needs a weather in `<weathers>`,
# and the share of the route behind which each begins, which leaderboard 1 did not know.
CLEAR_DAY = {"cloudiness": "50.0", "sun_altitude_angle": "70.0"}
_TOWN_FOLDER = re.compile(r"Town\d{2}(HD)?")  # Roach: scenario_descriptions/.../Town01/...
_FLIPPED_ATTRIBUTES = ("y", "yaw")  # mirrored between CARLA's frame and ours


@dataclass(frozen=True)
class RouteSpec:
    """One route as a file describes it: a few points to pass, not yet a line on a map.

    Raises:
        ValueError: the id is a path: videos and results are named by it.
    """

    route_id: str
    town: str
    waypoints: NDArray[np.float64]  # (W, 3) x, y, z [m], right-handed
    triggers: tuple[ScenarioTrigger, ...] = ()
    weathers: tuple[Mapping[str, str], ...] = field(default=())  # kept for writing it back

    def __post_init__(self) -> None:
        checked_name(self.route_id, "the route id")


def read_routes(path: str | Path) -> list[RouteSpec]:
    """All routes of a leaderboard 1 or 2 route file, plain or gzipped, in the order of the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: unreadable or incomplete; names the file, the route and what is missing.
    """
    path = Path(path)
    root = read_xml(path)
    if root.tag != "routes":
        raise ValueError(
            f"{path} begins with <{root.tag}>, expected <routes>: not a leaderboard route file"
        )
    specs = [_read_route(_Place(path, element), element) for element in root.findall("route")]
    if not specs:
        raise ValueError(f"{path} holds no <route>: nothing to drive")
    _refuse_duplicates(path, specs)
    return specs


def write_routes(path: str | Path, specs: Sequence[RouteSpec], *, comment: str = "") -> None:
    """Write a leaderboard 2 route file; a name ending in .gz is compressed.

    Args:
        path: File to write; its folder must exist.
        specs: Routes in our frame.
        comment: One line on where the routes come from, kept at the head of the file.
    """
    path = Path(path)
    root = Element("routes")
    for spec in specs:
        _write_route(root, spec)
    indent(root)
    head = f"<?xml version='1.0' encoding='utf-8'?>\n{_comment(comment)}"
    document = (head + tostring(root, encoding="unicode") + "\n").encode()
    if path.suffix == ".gz":
        document = gzip.compress(document, mtime=0)  # the same routes give the same bytes
    path.write_bytes(document)


# Reading ------------------------------------------------------------------------------------------


class _Place:
    """Where in which file we are, for messages."""

    def __init__(self, path: Path, route: Element) -> None:
        self.path, self.route_id = path, route.get("id", "(no id)")

    def error(self, problem: str, remedy: str) -> ValueError:
        return ValueError(f"{self.path}, route {self.route_id}: {problem}: {remedy}")

    def text(self, element: Element, name: str) -> str:
        value = element.get(name)
        if value is None:
            raise self.error(f"<{element.tag}> has no attribute {name!r}", "add it to the file")
        return value

    def number(self, element: Element, name: str) -> float:
        text = self.text(element, name)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.error(f"<{element.tag}> has {name}={text!r}", "expected a finite number")
        return value


def _read_route(place: _Place, element: Element) -> RouteSpec:
    positions = _positions(place, element)
    if len(positions) < 2:
        raise place.error(
            f"found {len(positions)} waypoints", "a route needs at least its start and its end"
        )
    weathers = [*element.iterfind("weathers/weather"), *element.iterfind("weather")]
    try:
        route_id = checked_name(place.text(element, "id"), "the route id")
    except ValueError as error:
        raise ValueError(f"{place.path}: {error}") from error
    return RouteSpec(
        route_id=route_id,
        town=_read_town(place, element),
        waypoints=np.array([_read_position(place, position) for position in positions]),
        triggers=tuple(
            _read_trigger(place, scenario) for scenario in element.iterfind("scenarios/scenario")
        ),
        weathers=tuple(dict(weather.attrib) for weather in weathers),
    )


def _positions(place: _Place, element: Element) -> list[Element]:
    """Waypoints of the one vehicle that drives the route, of any of the formats."""
    for path in ("waypoints/position", "waypoints/waypoint", "waypoint"):
        if found := element.findall(path):
            return found
    egos = [ego for ego in element.findall("ego_vehicle") if ego.find("waypoint") is not None]
    if len(egos) > 1:
        raise place.error(
            f"{len(egos)} <ego_vehicle> have waypoints", "give each a <route> of its own"
        )
    return egos[0].findall("waypoint") if egos else []


def _read_town(place: _Place, element: Element) -> str:
    """The route's town by its short name."""
    named = [element.get(key, "").strip() for key in ("town", "map")]
    towns = [short_town_name(name) for name in named if name]
    if len(set(towns)) > 1:
        raise place.error(
            f"<route> has town={named[0]!r} and map={named[1]!r}", "leave one of them out"
        )
    if towns:
        return towns[0]
    folders = [folder.name for folder in place.path.resolve().parents]
    towns = [name for name in map(short_town_name, folders) if _TOWN_FOLDER.fullmatch(name)]
    if not towns:
        raise place.error(
            "<route> has no attribute 'town' and the file lies in no folder named after one",
            'add town="Town01" (or the town it is meant for) to the route',
        )
    return towns[0]


def _read_position(place: _Place, element: Element) -> tuple[float, float, float]:
    x, y, z = (place.number(element, name) for name in "xyz")
    return x, 0.0 - y, z


def _read_trigger(place: _Place, scenario: Element) -> ScenarioTrigger:
    name, point = place.text(scenario, "name"), scenario.find("trigger_point")
    if point is None:
        raise place.error(f"scenario {name!r} has no <trigger_point>", "add it to the file")
    x, y, z = _read_position(place, point)
    return ScenarioTrigger(
        name=name,
        scenario_type=place.text(scenario, "type"),
        x=x,
        y=y,
        z=z,
        yaw_rad=0.0 - math.radians(place.number(point, "yaw")),
        parameters=dict(_read_parameters(place, scenario)),
    )


def _read_parameters(place: _Place, scenario: Element) -> Iterator[tuple[str, str]]:
    """Children of a scenario: `distance` for a value, `frequency.from` for other attributes."""
    for child in scenario:
        if child.tag == "trigger_point":
            continue
        for attribute, text in child.attrib.items():
            if attribute in _FLIPPED_ATTRIBUTES:
                text = repr(0.0 - place.number(child, attribute))
            yield child.tag if attribute == "value" else f"{child.tag}.{attribute}", text


def _refuse_duplicates(path: Path, specs: Sequence[RouteSpec]) -> None:
    ids = [spec.route_id for spec in specs]
    doubles = sorted({route_id for route_id in ids if ids.count(route_id) > 1})
    if doubles:
        raise ValueError(
            f"{path} has more than one route with id {', '.join(doubles)}: give each its own id"
        )


# Writing ------------------------------------------------------------------------------------------


def _write_route(root: Element, spec: RouteSpec) -> None:
    route = SubElement(root, "route", id=spec.route_id, town=spec.town)
    weathers = SubElement(route, "weathers")
    for weather in spec.weathers or (CLEAR_DAY,):
        SubElement(weathers, "weather", {"route_percentage": "0", **weather})
    waypoints = SubElement(route, "waypoints")
    for x, y, z in spec.waypoints.tolist():
        SubElement(waypoints, "position", _position(x, y, z))
    scenarios = SubElement(route, "scenarios")
    for trigger in spec.triggers:
        _write_trigger(scenarios, trigger)


def _write_trigger(scenarios: Element, trigger: ScenarioTrigger) -> None:
    attributes = {"name": trigger.name, "type": trigger.scenario_type}
    scenario = SubElement(scenarios, "scenario", attributes)
    yaw = repr(0.0 - round(math.degrees(trigger.yaw_rad), 6))  # 90.0, not 90.00000000000001
    point = _position(trigger.x, trigger.y, trigger.z)
    SubElement(scenario, "trigger_point", {**point, "yaw": yaw})
    children: dict[str, Element] = {}
    for key, text in trigger.parameters.items():
        tag, _, attribute = key.partition(".")
        if tag not in children:
            children[tag] = SubElement(scenario, tag)
        if attribute in _FLIPPED_ATTRIBUTES:
            text = repr(0.0 - float(text))
        children[tag].set(attribute or "value", text)


def _position(x: float, y: float, z: float) -> dict[str, str]:
    return {"x": repr(x), "y": repr(0.0 - y), "z": repr(z)}


def _comment(text: str) -> str:
    return f"<!-- {text.replace('--', '- -')} -->\n" if text else ""
