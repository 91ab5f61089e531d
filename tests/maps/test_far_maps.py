"""Maps far from the origin, as UTM exports are: CARLA's float32 must not bend them."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from sim_adapters.carla.headless.town import load_town
from sim_adapters.maps.opendrive import load_map_bank, nearest_driving_lanes
from sim_adapters.maps.opendrive_document import centred

EAST_M, NORTH_M = 691_000.0, 5_334_000.0  # Munich in UTM zone 32


def far_crossing(crossing_file: Path, folder: Path, x: float = EAST_M, y: float = NORTH_M) -> Path:
    tree = ElementTree.parse(crossing_file)
    for geometry in tree.iter("geometry"):
        geometry.set("x", repr(float(geometry.get("x", "0")) + x))
        geometry.set("y", repr(float(geometry.get("y", "0")) + y))
    tree.write(folder / "far.xodr")
    return folder / "far.xodr"


def test_far_map_is_the_same_map_elsewhere(tmp_path: Path, crossing_file: Path) -> None:
    far = load_map_bank([str(far_crossing(crossing_file, tmp_path))])
    near = load_map_bank([str(crossing_file)])
    tables = ("points", "signals", "stop_lines", "signs", "crosswalks")
    for there, here in ((getattr(far, name), getattr(near, name)) for name in tables):
        assert there.x - EAST_M == pytest.approx(here.x, abs=1e-3)
        assert there.y - NORTH_M == pytest.approx(here.y, abs=1e-3)
    assert far.lanes.length_m == pytest.approx(near.lanes.length_m, abs=1e-3)
    assert np.cos(far.points.yaw_rad - near.points.yaw_rad) == pytest.approx(1.0, abs=1e-9)
    assert np.array_equal(far.links.successor, near.links.successor)
    assert far.layers.origin_x - EAST_M == pytest.approx(near.layers.origin_x, abs=0.51)
    assert far.grid.origin_y - NORTH_M == pytest.approx(near.grid.origin_y, abs=1.0)


def test_carla_answers_in_the_coordinates_of_the_file(tmp_path: Path, crossing_file: Path) -> None:
    place = np.array([[EAST_M - 40.0, NORTH_M - 1.5, 0.0]])
    ids, at = nearest_driving_lanes(str(far_crossing(crossing_file, tmp_path)), place)
    assert ids == [(1, 0, -1)]
    assert at[0] - [EAST_M, NORTH_M, 0.0] == pytest.approx([-40.0, -1.75, 0.0], abs=1e-3)


def test_headless_server_hands_out_a_far_map_at_the_origin(
    tmp_path: Path, crossing_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    near, far = load_town(str(crossing_file)), load_town(str(far_crossing(crossing_file, tmp_path)))
    assert "moved to the origin" in caplog.text
    # The crossing reaches from x = -160 to 60 m, its reference lines begin at -160 to 60 m as well
    middle = (-50.0, 0.0)
    ours = np.array(near.spawn_points)
    theirs = np.array(far.spawn_points)
    assert theirs[:, 0] == pytest.approx(ours[:, 0] - middle[0], abs=1e-3)
    assert theirs[:, 1:] == pytest.approx(ours[:, 1:], abs=1e-3)
    begin = [float(x.get("x", "")) for x in ElementTree.fromstring(far.document).iter("geometry")]
    assert (min(begin), max(begin)) == (-110.0, 110.0)


@pytest.mark.parametrize(("x", "y"), [(32_000.0, 0.0), (0.0, -32_000.0), (0.0, 0.0)])
def test_map_that_float32_can_hold_is_left_alone(
    tmp_path: Path, crossing_file: Path, x: float, y: float
) -> None:
    document = far_crossing(crossing_file, tmp_path, x, y).read_bytes()
    assert centred(document) == (document, 0.0, 0.0)


def test_map_that_is_too_wide_for_any_place_is_refused(tmp_path: Path, crossing_file: Path) -> None:
    text = crossing_file.read_text().replace('x="-160"', 'x="-1600000"')
    (tmp_path / "wide.xodr").write_text(text)
    with pytest.raises(ValueError, match=r"begin up to 1600 km apart.*split the map"):
        load_map_bank([str(tmp_path / "wide.xodr")])


@pytest.mark.parametrize("x", ["1e30", "-2e8"])
def test_map_that_lies_nowhere_on_earth_is_refused(
    tmp_path: Path, crossing_file: Path, x: str
) -> None:
    # At 1e30 m all of its points would be one in float64
    path = far_crossing(crossing_file, tmp_path, float(x), 0.0)
    with pytest.raises(ValueError, match=r"further than any place on earth"):
        load_map_bank([str(path)])
