"""Lights, stop lines, signs and limits: on the hand-written crossing and counted in the towns."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import carla
import numpy as np
import pytest

from sim_adapters.carla.headless.road_furniture import RoadThing, furnish
from sim_adapters.carla.headless.town import load_town
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.maps.opendrive_document import LIGHT_TYPES, parse_document
from sim_adapters.maps.traffic_lights import light_names
from sim_adapters.scene.map_bank import EntryRule, LaneKind, MapBank, SignKind

KMH = 1.0 / 3.6


def rows_of(bank: MapBank, table: str, town: str) -> slice:
    ranges = getattr(bank.ranges, table)
    row = bank.map_index(town)
    return slice(int(ranges[row]), int(ranges[row + 1]))


def lane_row(bank: MapBank, road: int, lane: int) -> int:
    return int(np.flatnonzero((bank.lanes.road_id == road) & (bank.lanes.lane_id == lane))[0])


def test_crossing_has_one_light_an_arm_that_share_a_cycle(crossing: MapBank) -> None:
    signals = crossing.signals
    assert signals.opendrive_id.tolist() == [901, 902, 903, 904]
    assert signals.phase.tolist() == [0, 1, 2, 3]
    assert signals.group.tolist() == [0, 0, 0, 0]
    groups = crossing.groups
    assert [column.tolist() for column in groups] == [[4], [10.0], [3.0], [2.0]]
    # All three ways from an arm heed the arm's light
    for arm in (1, 2, 3, 4):
        ways = [100 * arm + exit_arm for exit_arm in (1, 2, 3, 4) if exit_arm != arm]
        rows = [lane_row(crossing, road, -1) for road in ways]
        assert crossing.rules.signal[rows].tolist() == [arm - 1] * 3
        assert crossing.rules.entry[rows].tolist() == [EntryRule.LIGHT] * 3


def test_stop_line_and_trigger_volume_lie_before_the_crossing(crossing: MapBank) -> None:
    stop = crossing.stop_lines
    assert stop.lane[0] == lane_row(crossing, road=1, lane=-1)
    # From the trigger box's centre, 3 m before the edge at x = -10, six steps of 0.5 m fit
    assert (stop.x[0], stop.y[0]) == pytest.approx((-10.0, -1.75), abs=0.01)
    assert stop.yaw_rad[0] == pytest.approx(0.0, abs=1e-3)
    assert stop.lane_width_m[0] == pytest.approx(3.5)
    # The trigger box reaches from 1.5 to 4.5 m before the edge
    assert (crossing.signals.x[0], crossing.signals.y[0]) == pytest.approx((-13.0, -1.75), abs=0.01)
    assert (crossing.signals.x[2], crossing.signals.y[2]) == pytest.approx((1.75, -13.0), abs=0.01)


def test_posted_limit_is_kmh_and_holds_until_the_next_sign(crossing: MapBank) -> None:
    points, lanes = crossing.points, crossing.lanes

    def limits(road: int, lane: int) -> np.ndarray:
        row = lane_row(crossing, road, lane)
        return points.speed_limit_mps[lanes.first_point[row] : lanes.first_point[row + 1]]

    # The sign stands at s = 20 m of road 5 for its negative lanes
    assert limits(5, -1)[:20] == pytest.approx(30.0 * KMH)
    assert limits(5, -1)[21:] == pytest.approx(60.0 * KMH)
    for road, lane in ((1, -1), (102, -1), (103, -1), (2, 1), (4, 1)):
        assert limits(road, lane) == pytest.approx(60.0 * KMH)
    for road, lane in ((2, -1), (201, -1), (304, -1), (1, 1), (5, 1)):
        assert limits(road, lane) == pytest.approx(30.0 * KMH)


def test_limit_box_is_a_cube_that_ends_at_the_sign(crossing: MapBank) -> None:
    signs = crossing.signs
    assert signs.kind.tolist() == [SignKind.SPEED_LIMIT] * 2
    assert signs.value == pytest.approx(60.0 * KMH)
    assert signs.half_length_m == pytest.approx(0.35 * 3.5)
    assert signs.half_width_m == pytest.approx(0.35 * 3.5)
    assert signs.x == pytest.approx(-140.0 - 0.35 * 3.5, abs=0.01)
    assert sorted(signs.y) == pytest.approx([-5.25, -1.75], abs=0.01)


# Number of groups by number of phases; 1 is a light without a controller, or Town05's lone one
PHASES = {
    "Town01": {3: 12},
    "Town02": {3: 8},
    "Town03": {4: 5, 3: 6},
    "Town04": {4: 7, 3: 5},
    "Town05": {4: 10, 3: 4, 1: 1},
    "Town06": {2: 5, 3: 3},
    "Town07": {4: 2, 3: 3},
    "Town10HD": {4: 1, 3: 3, 2: 1, 1: 2},
    "Town15": {4: 2, 3: 5, 2: 1, 1: 2},  # the lone ones are its two arrows
}


@pytest.mark.parametrize("town", PHASES)
def test_junction_cycles_have_the_phases_of_the_map(towns: MapBank, town: str) -> None:
    groups = rows_of(towns, "group", town)
    assert Counter(towns.groups.num_phases[groups].tolist()) == PHASES[town]
    signals = rows_of(towns, "signal", town)
    assert np.all(
        towns.signals.phase[signals] < towns.groups.num_phases[towns.signals.group[signals]]
    )


def test_lone_lights_of_town10_stay_red_for_ten_seconds(towns: MapBank) -> None:
    groups = rows_of(towns, "group", "Town10HD")
    lone = towns.groups.num_phases[groups] == 1
    assert towns.groups.red_s[groups][lone] == pytest.approx(10.0)
    assert towns.groups.red_s[groups][~lone] == pytest.approx(2.0)


# Junction lanes that heed a light = the map's light references (every reference is one lane)
LIGHT_REFERENCES = {
    **{"Town01": 72, "Town02": 48, "Town03": 112, "Town04": 121, "Town05": 200},
    **{"Town06": 82, "Town07": 42, "Town10HD": 58, "Town15": 72 + 2},
}


@pytest.mark.parametrize("town", LIGHT_REFERENCES)
def test_every_light_reference_governs_one_way_through_a_junction(
    towns: MapBank, town: str
) -> None:
    lanes = rows_of(towns, "lane", town)
    heeding = towns.rules.signal[lanes] >= 0
    assert heeding.sum() == LIGHT_REFERENCES[town]
    assert np.all(towns.rules.entry[lanes][heeding] == EntryRule.LIGHT)
    assert np.all(towns.lanes.junction[lanes][heeding] >= 0)


def test_stop_lines_lie_at_the_end_of_lanes_that_enter_a_junction(towns: MapBank) -> None:
    stop, lanes, points, links = towns.stop_lines, towns.lanes, towns.points, towns.links
    assert np.all(lanes.junction[stop.lane] == -1)
    # One light a lane; a lane of Town15 has an arrow beside its round light
    assert len(set(stop.lane.tolist())) == len(stop.lane) - 1
    end = lanes.first_point[stop.lane + 1] - 1
    gap = np.hypot(points.x[end] - stop.x, points.y[end] - stop.y)
    assert gap.max() < 0.5 + 0.01  # or else one step more had been taken
    for lane, signal in zip(stop.lane, stop.signal, strict=True):
        following = links.successor[links.successor_first[lane] : links.successor_first[lane + 1]]
        assert np.all(lanes.junction[following] >= 0)
        assert signal in towns.rules.signal[following]


@pytest.mark.parametrize("name", ["Town02", "Town03", "Town06"])
def test_stop_lines_are_the_way_points_that_the_leaderboard_finds_for_a_light(name: str) -> None:
    town = load_town(name)
    carla_map, bank = carla.Map("town", town.document), town.bank
    for row, light in enumerate(furnish(town).lights[: len(bank.signals.x)]):
        lines = slice(*bank.signals.first_stop_line[row : row + 2])
        x, y, yaw = (
            column[lines]
            for column in (bank.stop_lines.x, bank.stop_lines.y, bank.stop_lines.yaw_rad)
        )
        found: dict[tuple[int, int], carla.Waypoint] = {}
        for way in leaderboard_waypoints(carla_map, light):
            # Town06 has one lane that another lies between: it is walked twice, 0.45 m apart
            found.setdefault((way.road_id, way.lane_id), way)
        assert len(found) == len(x)
        for way in found.values():
            place, heading = way.transform.location, -np.radians(way.transform.rotation.yaw)
            at = int(np.argmin(np.hypot(x - place.x, y + place.y)))
            assert (x[at], y[at]) == pytest.approx((place.x, -place.y), abs=1e-3)
            assert np.cos(yaw[at] - heading) == pytest.approx(1.0, abs=1e-6)


def leaderboard_waypoints(carla_map: carla.Map, light: RoadThing) -> list[carla.Waypoint]:
    """As its red-light criterion: samples across the trigger volume, each walked forward."""
    centre, half = light.trigger_volume()
    x, y, z, _, yaw, _ = light.pose
    place = carla.Transform(carla.Location(x, -y, z), carla.Rotation(yaw=-np.degrees(yaw)))
    found: list[carla.Waypoint] = []
    for across in np.arange(-0.9 * half[0], 0.9 * half[0], 1.0):
        sample = carla.Location(centre[0] + across, -centre[1], centre[2])
        way = carla_map.get_waypoint(carla.Location(place.transform(sample)))
        if not found or (found[-1].road_id, found[-1].lane_id) != (way.road_id, way.lane_id):
            found.append(way)
    for index, way in enumerate(found):
        while not way.next(0.5)[0].is_junction:
            way = way.next(0.5)[0]
        found[index] = way
    return found


def test_stop_and_yield_signs_govern_unsignalised_entries(towns: MapBank) -> None:
    for town, stops, yields in (("Town05", 11, 0), ("Town07", 42, 38), ("Town10HD", 6, 1)):
        lanes = rows_of(towns, "lane", town)
        entry = towns.rules.entry[lanes]
        assert (entry == EntryRule.STOP).sum() == stops
        assert (entry == EntryRule.YIELD).sum() == yields
        signed = np.isin(entry, (EntryRule.STOP, EntryRule.YIELD))
        signs = towns.rules.sign[lanes][signed]
        assert np.all(signs >= 0)
        expected = np.where(entry[signed] == EntryRule.STOP, SignKind.STOP, SignKind.YIELD)
        assert np.all(towns.signs.kind[signs] == expected)


def test_stop_boxes_are_half_a_lane_wide_and_three_metres_long(towns: MapBank) -> None:
    stops = towns.signs.kind == SignKind.STOP
    lane = towns.signs.lane[stops]
    end = towns.lanes.first_point[lane + 1] - 1
    distance = np.hypot(
        towns.points.x[end] - towns.signs.x[stops], towns.points.y[end] - towns.signs.y[stops]
    )
    assert distance == pytest.approx(3.0, abs=0.05)
    assert towns.signs.half_length_m[stops] == pytest.approx(1.5)
    width = towns.points.width_m[end]
    assert towns.signs.half_width_m[stops] == pytest.approx(0.25 * width, abs=0.1)


# Values of the towns' signs [km/h]
LIMITS = {
    "Town01": {30, 60, 90},
    "Town02": {30, 60, 90},
    "Town03": {30, 60, 90},
    "Town04": {30, 40, 60, 90},
    "Town05": {30, 40, 60, 90},
    "Town06": {30},
    "Town07": {30, 40},
    "Town10HD": {30},
    "Town15": {30, 50},
}


@pytest.mark.parametrize("town", LIMITS)
def test_limits_in_force_are_those_of_the_town(towns: MapBank, town: str) -> None:
    limits = towns.points.speed_limit_mps[rows_of(towns, "point", town)]
    assert {round(limit) for limit in np.unique(limits / KMH)} == LIMITS[town]


def test_limits_change_only_at_signs_along_a_lane(towns: MapBank) -> None:
    points = towns.points
    same_lane = np.diff(points.lane) == 0
    changes = np.flatnonzero(same_lane & (np.diff(points.speed_limit_mps) != 0.0)) + 1
    assert len(changes) > 50
    limits = towns.signs.kind == SignKind.SPEED_LIMIT
    for point in changes:
        on_lane = limits & (towns.signs.lane == points.lane[point])
        distance = np.hypot(
            towns.signs.x[on_lane] - points.x[point], towns.signs.y[on_lane] - points.y[point]
        )
        here = points.speed_limit_mps[point]
        assert here in towns.signs.value[on_lane][distance < 3.5]


# Driving lane-km counted independently from 2 m way-points; ours lacks their rounding up
LANE_KM = {
    **{"Town01": 6.5, "Town02": 3.0, "Town03": 14.2, "Town04": 33.8, "Town05": 24.4},
    **{"Town06": 25.9, "Town07": 7.4, "Town10HD": 6.1, "Town15": 38.6},
}


@pytest.mark.parametrize("town", LANE_KM)
def test_driving_lanes_have_the_length_of_the_town(towns: MapBank, town: str) -> None:
    lanes = rows_of(towns, "lane", town)
    driving = towns.lanes.kind[lanes] == LaneKind.DRIVING
    assert towns.lanes.length_m[lanes][driving].sum() / 1000.0 == pytest.approx(
        LANE_KM[town], rel=0.04
    )


# LibCarla, road/SignalType.cpp, IsTrafficLight
CARLAS_LIGHTS = (
    *("1000001", "1000002", "1000007", "1000008", "1000009", "1000010", "1000011", "1000012"),
    *("1000013", "1000014", "1000015", "1000016", "1000017", "1000018", "1000019", "1000020"),
    *("F", "W", "A"),
)


def retyped(crossing_file: Path, folder: Path, types: Sequence[str]) -> MapBank:
    """The crossing with lights 901 to 904 of other types."""
    text = crossing_file.read_text()
    for light, kind in zip(range(901, 905), types, strict=True):
        head, _, rest = text.partition(f'<signal name="light" id="{light}"')
        text = f'{head}<signal name="light" id="{light}"' + rest.replace("1000001", kind, 1)
    (folder / "retyped.xodr").write_text(text)
    return load_map_bank([str(folder / "retyped.xodr")], pixels_per_meter=0.25)


def test_lights_of_every_type_that_carla_knows_are_lights() -> None:
    assert set(CARLAS_LIGHTS) == LIGHT_TYPES
    assert not LIGHT_TYPES & {"1000003", "1000004", "1000006", "1000021", "294", "", "-1"}


def test_arrow_lights_govern_as_round_ones_do(tmp_path: Path, crossing_file: Path) -> None:
    bank = retyped(crossing_file, tmp_path, ("1000009", "1000010", "1000011", "F"))
    assert bank.signals.opendrive_id.tolist() == [901, 902, 903, 904]
    assert (bank.rules.entry == EntryRule.LIGHT).sum() == 12


def test_signals_without_effect_are_counted_at_every_load(
    tmp_path: Path, crossing_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):  # the second time from the cache
        caplog.clear()
        retyped(crossing_file, tmp_path, ("1000001", "1000003", "1000003", "strange"))
        assert "retyped.xodr: 3 dynamic signals are of no type" in caplog.text
        assert "type '1000003': 2, type 'strange': 1" in caplog.text


def test_lights_away_from_junctions_and_idle_signs_are_counted(
    tmp_path: Path, crossing_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    signal = '<signal id="{}" s="10" t="-5" orientation="-" dynamic="{}" type="{}" value="-1"/>'
    ours = signal.format("P", "yes", "1000001") + signal.format("Q", "no", "274")
    text = crossing_file.read_text().replace('name="Speed_60"', 'name="none"')
    head, _, rest = text.partition('<road name="" length="100.0" id="5"')
    rest = rest.replace("</objects>", f"</objects><signals>{ours}</signals>", 1)
    text = f'{head}<road name="" length="100.0" id="5"{rest}'
    (tmp_path / "more.xodr").write_text(text)
    load_map_bank([str(tmp_path / "more.xodr")], pixels_per_meter=0.25)
    assert "1 of 5 traffic lights govern no lane that enters a junction within 30 m" in caplog.text
    assert "none of 1 speed-limit signs acts on a driving lane (Q)" in caplog.text


@pytest.mark.parametrize("name", ["light_7", "007", "99999999999"])
def test_light_may_have_any_name(tmp_path: Path, crossing_file: Path, name: str) -> None:
    text = crossing_file.read_text()
    for attribute in ("id", "signalId"):
        text = text.replace(f'{attribute}="902"', f'{attribute}="{name}"')
    (tmp_path / "named.xodr").write_text(text)
    bank = load_map_bank([str(tmp_path / "named.xodr")], pixels_per_meter=0.25)
    names = light_names(parse_document(text.encode()), bank.signals.opendrive_id)
    assert names == ["901", name, "903", "904"]
    lights = furnish(load_town(str(tmp_path / "named.xodr"))).lights
    assert [light.sign_id for light in lights] == names
