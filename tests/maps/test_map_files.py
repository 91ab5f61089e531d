"""Finding, reading, caching and joining maps, and what bad files lead to."""

import gzip
import multiprocessing
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from sim_adapters.kernel_cache import CACHE_ROOT_VARIABLE
from sim_adapters.maps import opendrive
from sim_adapters.maps.bank_file import load_bank, save_bank
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.maps.opendrive_document import SignalReference, parse_document
from sim_adapters.maps.town_files import CARLA_ROOT_VARIABLE, find_town_file, town_name
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.map_layers import LayerBit, untile_plane
from sim_adapters.source_files import source_files


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv(CACHE_ROOT_VARIABLE, str(folder))
    return folder / "maps"


def test_town_is_found_in_the_wheel_and_in_a_carla_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(CARLA_ROOT_VARIABLE, raising=False)
    assert find_town_file("Town10HD").name == "Town10HD.xodr.gz"
    folder = tmp_path / "CarlaUE4" / "Content" / "Carla" / "Maps" / "OpenDrive"
    folder.mkdir(parents=True)
    (folder / "Town10HD.xodr").touch()
    monkeypatch.setenv(CARLA_ROOT_VARIABLE, str(tmp_path))
    assert find_town_file("Town10HD") == folder / "Town10HD.xodr"
    # What the installation lacks still comes from the wheel
    assert find_town_file("Town01").name == "Town01.xodr.gz"


def test_missing_town_says_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CARLA_ROOT_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match=r"nowhere, no such folder.*py123d") as caught:
        find_town_file("Town99")
    assert "pip install --no-deps py123d" in str(caught.value)
    with pytest.raises(FileNotFoundError, match=r"my_town.xodr does not exist"):
        find_town_file(str(tmp_path / "my_town.xodr"))


@pytest.mark.parametrize("town", ["Town11", "Town12", "Town13"])
def test_large_towns_are_refused_in_one_line(town: str) -> None:
    with pytest.raises(ValueError, match=f"{town} is a large map.*not supported yet"):
        load_map_bank([town])


def test_names_of_towns() -> None:
    assert town_name("Town10HD") == "Town10HD"
    assert town_name("some/where/Town01.xodr") == "Town01"
    assert town_name("Town01.xodr.gz") == "Town01"


def test_towns_are_found_by_the_names_that_carla_gives_them() -> None:
    plain = find_town_file("Town01")
    for name in ("Town01_Opt", "Carla/Maps/Town01", "/Game/Carla/Maps/Town01_Opt"):
        assert find_town_file(name) == plain
        assert town_name(name) == "Town01"
    assert town_name("my/Crossing_Opt.xodr") == "Crossing_Opt"
    for name in ("Crossing_Opt", "/Game/Carla/Maps/Town99", "Town0*", "/"):
        with pytest.raises(FileNotFoundError, match="no OpenDRIVE file of"):
            find_town_file(name)


def test_list_of_towns_must_name_each_town_once(crossing_file: Path) -> None:
    for towns in ([], ["Town01", "elsewhere/Town01.xodr"]):
        with pytest.raises(ValueError, match="at least one town and none twice"):
            load_map_bank(towns)
    with pytest.raises(ValueError, match="pixels_per_meter must be positive"):
        load_map_bank([str(crossing_file)], pixels_per_meter=0.0)


def assert_equal_banks(first: MapBank, second: MapBank) -> None:
    for table in ("ranges", "points", "lanes", "links", "rules", "grid", "signals", "stop_lines"):
        for ours, theirs in zip(getattr(first, table), getattr(second, table), strict=True):
            assert np.array_equal(ours, theirs)
    assert np.array_equal(first.layers.tiles, second.layers.tiles)


def test_plain_and_gzipped_files_are_one_map(
    empty_cache: Path, tmp_path: Path, crossing: MapBank, crossing_file: Path
) -> None:
    packed = tmp_path / "crossing.xodr.gz"
    packed.write_bytes(gzip.compress(crossing_file.read_bytes()))
    assert_equal_banks(load_map_bank([str(packed)]), crossing)


def test_cache_is_keyed_by_the_code_that_bakes(
    empty_cache: Path, crossing: MapBank, crossing_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bake(arguments: list[str], *_: object) -> None:
        save_bank(crossing, Path(arguments[1]))

    monkeypatch.setattr(opendrive, "_run_worker", bake)
    worker = Path(opendrive.__file__).with_name("opendrive_worker.py")
    baking = source_files(str(worker), frozenset({"sim_adapters"}))
    names = {Path(file).name for file in baking}
    assert {"layers.py", "lane_samples.py", "map_layers.py"} <= names
    load_map_bank([str(crossing_file)])
    (before,) = empty_cache.iterdir()
    monkeypatch.setattr(opendrive, "code_digest", lambda path, packages: "edited")
    load_map_bank([str(crossing_file)])
    assert len(list(empty_cache.iterdir())) == 2
    assert before.is_file()


def test_cache_is_keyed_by_content_and_resolution(
    empty_cache: Path, tmp_path: Path, crossing_file: Path
) -> None:
    copy = tmp_path / "crossing.xodr"
    copy.write_bytes(crossing_file.read_bytes())
    load_map_bank([str(crossing_file)])
    (cached,) = empty_cache.iterdir()
    written = cached.stat().st_mtime_ns
    load_map_bank([str(copy)])  # same content elsewhere
    assert [path.stat().st_mtime_ns for path in empty_cache.iterdir()] == [written]
    copy.write_bytes(crossing_file.read_bytes().replace(b"Speed_60", b"Speed_40"))
    limits = load_map_bank([str(copy)]).signs.value
    assert limits == pytest.approx(40.0 / 3.6)
    fine = load_map_bank([str(crossing_file)], pixels_per_meter=4.0)
    assert len(list(empty_cache.iterdir())) == 3
    assert fine.layers.pixels_per_meter.tolist() == [4.0]


def _load(path: str) -> int:
    return len(load_map_bank([path]).lanes.kind)


def test_processes_may_build_the_same_town_at_once(
    empty_cache: Path, crossing: MapBank, crossing_file: Path
) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        lanes = pool.map(_load, [str(crossing_file)] * 2)
    assert lanes == [len(crossing.lanes.kind)] * 2
    assert [path.suffix for path in empty_cache.iterdir()] == [".npz"]  # no scratch is left


def test_saved_bank_comes_back(tmp_path: Path, crossing: MapBank) -> None:
    save_bank(crossing, tmp_path / "bank.npz")
    loaded = load_bank(tmp_path / "bank.npz", "elsewhere")
    assert loaded.towns == ("elsewhere",)
    assert_equal_banks(loaded, crossing)


def test_damaged_cache_names_the_file_to_delete(tmp_path: Path, crossing: MapBank) -> None:
    path = tmp_path / "bank.npz"
    save_bank(crossing, path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=r"bank.npz is damaged.*delete it"):
        load_bank(path, "crossing")


def test_joined_banks_hold_each_map_with_global_indices(towns: MapBank) -> None:
    for row in (0, 4, 8):
        alone = load_map_bank([towns.towns[row]])
        ranges = {
            table: slice(*firsts[row : row + 2]) for table, firsts in towns.ranges._asdict().items()
        }
        first = {table: rows.start for table, rows in ranges.items()}
        assert np.array_equal(towns.points.x[ranges["point"]], alone.points.x)
        assert np.array_equal(towns.points.lane[ranges["point"]] - first["lane"], alone.points.lane)
        left = towns.lanes.left[ranges["lane"]]
        assert np.array_equal(np.where(left < 0, -1, left - first["lane"]), alone.lanes.left)
        signal = towns.rules.signal[ranges["lane"]]
        assert np.array_equal(
            np.where(signal < 0, -1, signal - first["signal"]), alone.rules.signal
        )
        for lane in range(0, len(alone.lanes.kind), 7):
            there = lane + first["lane"]
            begin, end = towns.links.conflict_first[there : there + 2]
            ours = slice(*alone.links.conflict_first[lane : lane + 2])
            assert np.array_equal(
                towns.links.conflict[begin:end] - first["lane"], alone.links.conflict[ours]
            )
        assert np.array_equal(untile_plane(towns.layers, row), untile_plane(alone.layers, 0))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<OpenDRIVE><road>", "not well-formed XML"),
        (b"\x00\xff garbage", "not well-formed XML"),
        (b"<OpenDRIVE/>", "no <road>"),
        (b'<OpenDRIVE><road id="7" length="1"/></OpenDRIVE>', "road 7 has no lane section"),
        (b'<OpenDRIVE><road id="7" length="nan"/></OpenDRIVE>', "length='nan', expected a number"),
        (
            b'<OpenDRIVE><road id="7" length="1"><lanes><laneSection s="0"><left>'
            b'<lane id="x"/></left></laneSection></lanes></road></OpenDRIVE>',
            "<lane> has id='x', expected an integer",
        ),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><OpenDRIVE/>', "document type declaration"),
        (b"<!--" + 5000 * b" " + b"--><!DOCTYPE x><OpenDRIVE/>", "document type declaration"),
        ("\ufeff<!DOCTYPE x><OpenDRIVE/>".encode("utf-16-le"), "document type declaration"),
    ],
)
def test_text_that_is_no_map_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_document(content)


def test_truncated_file_is_refused_by_name(
    empty_cache: Path, tmp_path: Path, crossing_file: Path
) -> None:
    bad = tmp_path / "bad.xodr"
    bad.write_bytes(crossing_file.read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"bad.xodr is no OpenDRIVE map.*not well-formed XML"):
        load_map_bank([str(bad)])
    assert list(empty_cache.iterdir()) == []


def test_truncated_gzip_is_refused_by_name(empty_cache: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.xodr.gz"
    bad.write_bytes(gzip.compress(b"<OpenDRIVE>" * 1000)[:50])
    with pytest.raises(ValueError, match=r"cannot read .*bad.xodr.gz"):
        load_map_bank([str(bad)])


def test_map_without_driving_lanes_is_refused(
    empty_cache: Path, tmp_path: Path, crossing_file: Path
) -> None:
    bad = tmp_path / "bad.xodr"
    bad.write_bytes(crossing_file.read_bytes().replace(b'type="driving"', b'type="tram"'))
    with pytest.raises(ValueError, match="no driving lane"):
        load_map_bank([str(bad)])


def test_parser_that_takes_too_long_is_stopped(empty_cache: Path) -> None:
    with pytest.raises(ValueError, match=r"did not finish within 1 s of CPU time"):
        load_map_bank(["Town04"], cpu_limit_s=0.05)  # takes any machine several seconds
    assert list(empty_cache.iterdir()) == []


def test_parser_that_crashes_takes_only_its_child(
    empty_cache: Path, tmp_path: Path, crossing_file: Path
) -> None:
    bad = tmp_path / "bad.xodr"
    # A link to a lane that does not exist: carla.Map dies of it
    text = crossing_file.read_text().replace('<successor id="1"/>', '<successor id="7"/>')
    bad.write_text(text)
    with pytest.raises(ValueError, match=r"bad.xodr .* was ended by SIGSEGV"):
        load_map_bank([str(bad)])


def test_link_to_a_missing_road_is_refused(
    empty_cache: Path, tmp_path: Path, crossing_file: Path
) -> None:
    bad = tmp_path / "bad.xodr"
    text = crossing_file.read_text().replace('connectingRoad="102"', 'connectingRoad="999"')
    bad.write_text(text)
    with pytest.raises(ValueError, match=r"bad.xodr .* a link leads to a road or lane that is"):
        load_map_bank([str(bad)])


def test_signal_without_validity_holds_by_orientation() -> None:
    def reference(orientation: str, *validity: tuple[int, int]) -> SignalReference:
        return SignalReference("1", 1, 0.0, orientation, validity)

    assert [reference("-").applies_to(lane) for lane in (-1, 0, 1)] == [True, False, False]
    assert [reference("+").applies_to(lane) for lane in (-1, 0, 1)] == [False, False, True]
    assert [reference("none").applies_to(lane) for lane in (-1, 0, 1)] == [True, False, True]
    assert reference("+", (-2, -1)).applies_to(-2)
    assert not reference("-", (-2, -2)).applies_to(-1)


def test_document_lists_what_carla_does_not_tell(crossing_file: Path) -> None:
    document = parse_document(crossing_file.read_bytes())
    assert document.junction_controllers == {10: ("921", "922", "923", "924")}
    assert document.controller_signals["922"] == ("902",)
    # Four lights stand beside the arms, twelve references lie on the connecting roads
    assert len(document.references) == 4 + 12
    assert {item.name for item in document.objects} == {"SimpleCrosswalk", "Speed_60"}


@pytest.mark.parametrize("missing", ["centre", "sides", "all"])
def test_lane_without_a_road_mark_has_no_marking(
    tmp_path: Path, crossing_file: Path, missing: str
) -> None:
    """OpenDRIVE 1.4 to 1.8: a lane has no, one or many <roadMark>."""
    bare = tmp_path / "bare.xodr"
    tree = ElementTree.parse(crossing_file)
    for lane in tree.iter("lane"):
        is_centre = lane.get("id") == "0"
        for mark in lane.findall("roadMark"):
            if missing == "all" or is_centre == (missing == "centre"):
                lane.remove(mark)
    tree.write(bare)
    bank, marked = load_map_bank([str(bare)]), load_map_bank([str(crossing_file)])
    assert np.array_equal(bank.lanes.length_m, marked.lanes.length_m)
    painted, full = (untile_plane(one.layers, 0) & LayerBit.MARKING for one in (bank, marked))
    assert not np.any(painted & ~full)
    assert painted.any() == (missing != "all")
    assert np.count_nonzero(painted) < np.count_nonzero(full)
