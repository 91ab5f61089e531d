"""Maps whose traffic keeps left: the mirror image of a map is driven as the mirror image."""

from pathlib import Path

import numpy as np
import pytest

from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.maps.opendrive_document import parse_document
from sim_adapters.maps.route_search import LaneNetwork
from sim_adapters.maps.town_files import find_town_file, read_town_document
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import RouteCommand
from tests.maps.mirrored import mirrored

_MIRRORED_TURN = {
    **{command: command for command in RouteCommand},
    RouteCommand.LEFT: RouteCommand.RIGHT,
    RouteCommand.RIGHT: RouteCommand.LEFT,
    RouteCommand.CHANGE_LEFT: RouteCommand.CHANGE_RIGHT,
    RouteCommand.CHANGE_RIGHT: RouteCommand.CHANGE_LEFT,
}


@pytest.fixture(scope="module", params=["crossing", "Town03"])
def pair(request: pytest.FixtureRequest, crossing_file: Path) -> tuple[MapBank, MapBank]:
    """A map of right-hand traffic and its mirror image; Town03 has a roundabout."""
    town = str(crossing_file) if request.param == "crossing" else request.param
    folder = request.getfixturevalue("tmp_path_factory").mktemp("mirrored")
    image = folder / "image.xodr"
    image.write_bytes(mirrored(read_town_document(find_town_file(town))))
    bank, mirror = (load_map_bank([name], pixels_per_meter=0.25) for name in (town, str(image)))
    return bank, mirror


def rows_in_mirror(bank: MapBank, mirror: MapBank) -> np.ndarray:
    """Row in the mirror of each lane; ids change their sign."""
    theirs = zip(*(column.tolist() for column in mirror.lanes[3:6]), strict=True)
    row_of = {key: row for row, key in enumerate(theirs)}
    ours = zip(*(column.tolist() for column in bank.lanes[3:6]), strict=True)
    return np.array([row_of[road, section, -lane] for road, section, lane in ours])


def test_lanes_run_the_mirrored_way(pair: tuple[MapBank, MapBank]) -> None:
    bank, mirror = pair
    rows = rows_in_mirror(bank, mirror)
    first = mirror.lanes.first_point.tolist()
    there = np.concatenate([np.arange(first[image], first[image + 1]) for image in rows])
    assert mirror.points.x[there] == pytest.approx(bank.points.x, abs=1e-3)
    assert mirror.points.y[there] == pytest.approx(-bank.points.y, abs=1e-3)
    turn = mirror.points.yaw_rad[there] + bank.points.yaw_rad
    assert np.cos(turn) == pytest.approx(1.0, abs=1e-6)
    assert mirror.points.speed_limit_mps[there] == pytest.approx(bank.points.speed_limit_mps)


def test_links_neighbours_and_right_of_way_are_mirrored(pair: tuple[MapBank, MapBank]) -> None:
    bank, mirror = pair
    rows = rows_in_mirror(bank, mirror)

    def image_of(lanes: np.ndarray) -> np.ndarray:
        return np.where(lanes < 0, -1, rows[lanes])

    assert np.array_equal(mirror.lanes.right[rows], image_of(bank.lanes.left))
    assert np.array_equal(mirror.lanes.left[rows], image_of(bank.lanes.right))
    assert np.array_equal(mirror.lanes.opposite[rows], image_of(bank.lanes.opposite))
    turns = [_MIRRORED_TURN[RouteCommand(turn)] for turn in bank.rules.turn.tolist()]
    assert mirror.rules.turn[rows].tolist() == turns
    assert np.array_equal(mirror.rules.priority[rows], bank.rules.priority)
    assert np.array_equal(mirror.rules.entry[rows], bank.rules.entry)
    for kind in ("successor", "predecessor", "conflict"):
        ours, theirs = links_of(bank, kind), links_of(mirror, kind)
        for lane, image in enumerate(rows):
            assert sorted(theirs[image]) == sorted(rows[ours[lane]])


def links_of(bank: MapBank, kind: str) -> list[np.ndarray]:
    first = getattr(bank.links, f"{kind}_first")
    return np.split(getattr(bank.links, kind), first[1:-1])


def test_lane_changes_of_routes_are_mirrored(pair: tuple[MapBank, MapBank]) -> None:
    bank, mirror = pair
    rows = rows_in_mirror(bank, mirror)
    ours, theirs = LaneNetwork(bank).changes, LaneNetwork(mirror).changes
    for lane, image in enumerate(rows):
        expected = [
            (int(rows[change.lane]), _MIRRORED_TURN[change.command], change.cost_m)
            for change in ours[lane]
        ]
        assert sorted(theirs[image]) == sorted(expected)


def test_stop_lines_lie_before_the_mirrored_crossings(pair: tuple[MapBank, MapBank]) -> None:
    bank, mirror = pair
    rows = rows_in_mirror(bank, mirror)
    ours = {int(rows[lane]): row for row, lane in enumerate(bank.stop_lines.lane)}
    assert sorted(mirror.stop_lines.lane) == sorted(ours)
    order = [ours[int(lane)] for lane in mirror.stop_lines.lane]
    # CARLA walks to them from the nearest place of a lane, which it finds to a few millimetres
    assert mirror.stop_lines.x == pytest.approx(bank.stop_lines.x[order], abs=5e-3)
    assert mirror.stop_lines.y == pytest.approx(-bank.stop_lines.y[order], abs=5e-3)


def test_roads_of_both_rules_may_stand_in_one_file(tmp_path: Path, crossing_file: Path) -> None:
    """Road 5 alone keeps left: its lane -1 then runs westwards, with nothing before or after."""
    text = crossing_file.read_text().replace('id="5" junction', 'id="5" rule="LHT" junction')
    mixed = tmp_path / "mixed.xodr"
    mixed.write_text(text)
    bank = load_map_bank([str(mixed)])
    for road, lane, x in ((5, -1, [-60.0, -160.0]), (5, 1, [-160.0, -60.0]), (1, -1, [-60, -10])):
        row = np.flatnonzero((bank.lanes.road_id == road) & (bank.lanes.lane_id == lane))[0]
        ends = bank.lanes.first_point[row], bank.lanes.first_point[row + 1] - 1
        assert bank.points.x[list(ends)] == pytest.approx(x, abs=0.01)
        heading = np.arctan2(0.0, x[1] - x[0])
        assert np.cos(bank.points.yaw_rad[ends[0]] - heading) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("road", "lane", "reason"),
    [
        ('rule="lht"', "", r'road 7 has rule="lht", expected "RHT" or "LHT"'),
        ("", 'direction="reversed"', r'lane 1 of road 7 has direction="reversed"'),
        ("", 'direction="both"', r'lane 1 of road 7 has direction="both"'),
    ],
)
def test_directions_that_carla_reads_over_are_refused(road: str, lane: str, reason: str) -> None:
    text = (
        f'<OpenDRIVE><road id="7" length="1" {road}><lanes><laneSection s="0"><left>'
        f'<lane id="1" type="driving" {lane}/></left></laneSection></lanes></road></OpenDRIVE>'
    )
    with pytest.raises(ValueError, match=reason):
        parse_document(text.encode())


def test_rule_may_be_left_out() -> None:
    sections = '<lanes><laneSection s="0"/></lanes></road>'
    text = f'<OpenDRIVE><road id="7" length="1">{sections}<road id="8" rule="LHT" length="1">'
    roads = parse_document(f"{text}{sections}</OpenDRIVE>".encode()).roads
    assert [road.drives_along_s(-1) for road in roads] == [True, False]
    assert [road.drives_along_s(1) for road in roads] == [False, True]
