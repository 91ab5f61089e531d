"""Both leaderboard formats, the mirrored frame and what is refused."""

import gzip
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim_adapters.maps.route_file import CLEAR_DAY, RouteSpec, read_routes, write_routes
from sim_adapters.maps.safe_xml import read_xml
from sim_adapters.scene.scenario import ScenarioTrigger
from tests.data_folders import data_folder

LEADERBOARD_1 = """<?xml version='1.0' encoding='UTF-8'?>
<routes><route id="7" town="Town01">
  <waypoint pitch="0.0" roll="0.0" x="10.5" y="-4.25" yaw="90.0" z="0.5"/>
  <waypoint pitch="0.0" roll="0.0" x="10.5" y="30.0" yaw="90.0" z="0.0"/>
  <weather id="Custom" cloudiness="5.0"/>
</route></routes>"""

LEADERBOARD_2 = """<routes><route id="3" town="Town05">
  <weathers><weather route_percentage="0" cloudiness="5.0"/></weathers>
  <waypoints><position x="1" y="2" z="3"/><position x="4" y="5" z="6"/></waypoints>
  <scenarios><scenario name="Left_1" type="SignalizedJunctionLeftTurn">
    <trigger_point x="1.5" y="-2.5" z="0.1" yaw="90"/>
    <flow_speed value="12"/>
    <source_dist_interval from="20" to="45"/>
    <start_actor_flow x="7" y="8" z="9"/>
  </scenario></scenarios>
</route></routes>"""


def _file(folder: Path, text: str) -> Path:
    path = folder / "routes.xml"
    path.write_text(text)
    return path


def test_leaderboard_1_route_is_mirrored_into_our_frame(tmp_path: Path) -> None:
    (spec,) = read_routes(_file(tmp_path, LEADERBOARD_1))
    assert (spec.route_id, spec.town, spec.triggers) == ("7", "Town01", ())
    np.testing.assert_array_equal(spec.waypoints, [[10.5, 4.25, 0.5], [10.5, -30.0, 0.0]])
    assert spec.weathers == ({"id": "Custom", "cloudiness": "5.0"},)


def test_leaderboard_2_trigger_and_its_locations_are_mirrored(tmp_path: Path) -> None:
    (spec,) = read_routes(_file(tmp_path, LEADERBOARD_2))
    np.testing.assert_array_equal(spec.waypoints, [[1, -2, 3], [4, -5, 6]])
    (trigger,) = spec.triggers
    assert (trigger.name, trigger.scenario_type) == ("Left_1", "SignalizedJunctionLeftTurn")
    assert (trigger.x, trigger.y, trigger.z) == (1.5, 2.5, 0.1)
    assert trigger.yaw_rad == pytest.approx(-math.pi / 2)
    assert trigger.parameters == {
        "flow_speed": "12",
        "source_dist_interval.from": "20",
        "source_dist_interval.to": "45",
        "start_actor_flow.x": "7",
        "start_actor_flow.y": "-8.0",
        "start_actor_flow.z": "9",
    }


def test_written_leaderboard_2_text_is_in_carlas_frame(tmp_path: Path) -> None:
    specs = read_routes(_file(tmp_path, LEADERBOARD_2))
    write_routes(tmp_path / "again.xml", specs, comment="made -- by hand")
    text = (tmp_path / "again.xml").read_text()
    assert '<trigger_point x="1.5" y="-2.5" z="0.1" yaw="90.0"' in text
    assert '<start_actor_flow x="7" y="8.0" z="9"' in text
    assert '<source_dist_interval from="20" to="45"' in text
    np.testing.assert_array_equal(
        read_routes(tmp_path / "again.xml")[0].waypoints, specs[0].waypoints
    )


coordinate = st.floats(-1e5, 1e5)
word = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8)
trigger = st.builds(
    ScenarioTrigger,
    name=st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1),
    scenario_type=word,
    x=coordinate,
    y=coordinate,
    z=coordinate,
    yaw_rad=st.floats(-4.0, 4.0),
    parameters=st.dictionaries(
        word.filter(lambda tag: tag != "trigger_point"), st.text("0123456789.-", min_size=1)
    ),
)
spec = st.builds(
    RouteSpec,
    route_id=word,
    town=st.sampled_from(["Town01", "Town10HD"]),
    waypoints=st.lists(st.tuples(coordinate, coordinate, coordinate), min_size=2, max_size=5).map(
        np.array
    ),
    triggers=st.lists(trigger, max_size=3).map(tuple),
    weathers=st.lists(st.dictionaries(word, word), max_size=2).map(tuple),
)


@pytest.mark.parametrize("text", [LEADERBOARD_1, LEADERBOARD_2.replace("<weather r", "<w r")])
def test_routes_are_written_with_a_weather_that_the_leaderboard_reads(
    text: str, tmp_path: Path
) -> None:
    # Its parser takes float(attrib["route_percentage"]) of every <weather> and the first of them
    (spec,) = read_routes(_file(tmp_path, text))
    write_routes(tmp_path / "written.xml", [spec])
    weathers = list(read_xml(tmp_path / "written.xml").iterfind("route/weathers/weather"))
    assert [weather.get("route_percentage") for weather in weathers] == ["0"]
    cloudiness = spec.weathers[0]["cloudiness"] if spec.weathers else "50.0"
    assert weathers[0].get("cloudiness") == cloudiness


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(specs=st.lists(spec, min_size=1, max_size=3, unique_by=lambda spec: spec.route_id))
@pytest.mark.parametrize("name", ["routes.xml", "routes.xml.gz"])
def test_what_is_written_is_read_back(specs: list[RouteSpec], name: str, tmp_path: Path) -> None:
    write_routes(tmp_path / name, specs)
    again = read_routes(tmp_path / name)
    assert len(again) == len(specs)
    for old, new in zip(specs, again, strict=True):
        assert (new.route_id, new.town) == (old.route_id, old.town)
        begun = ({"route_percentage": "0", **weather} for weather in old.weathers or (CLEAR_DAY,))
        assert new.weathers == tuple(begun)
        np.testing.assert_array_equal(new.waypoints, old.waypoints)
        assert len(new.triggers) == len(old.triggers)
        for before, after in zip(old.triggers, new.triggers, strict=True):
            assert after.yaw_rad == pytest.approx(before.yaw_rad, abs=1e-8)
            assert (after.name, after.scenario_type) == (before.name, before.scenario_type)
            assert (after.x, after.y, after.z) == (before.x, before.y, before.z)
            assert after.parameters == before.parameters


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<routes><route", "not well-formed"),
        ("<scenarios/>", "expected <routes>"),
        ("<routes/>", "holds no <route>"),
        (LEADERBOARD_1.replace(' town="Town01"', ""), "route 7: <route> has no attribute 'town'"),
        (LEADERBOARD_1.replace("10.5", "ten"), "route 7: <waypoint> has x='ten'"),
        (LEADERBOARD_1.replace("10.5", "nan"), "expected a finite number"),
        (LEADERBOARD_2.replace('<position x="4" y="5" z="6"/>', ""), "route 3: found 1 waypoints"),
        (LEADERBOARD_2.replace("trigger_point", "point"), "'Left_1' has no <trigger_point>"),
        (
            LEADERBOARD_2.replace("</routes>", LEADERBOARD_2.removeprefix("<routes>")),
            "more than one route with id 3",
        ),
        (
            '<!DOCTYPE r [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><routes>&b;</routes>',
            "document type declaration",
        ),
    ],
)
def test_bad_file_is_refused_with_its_name_and_the_reason(
    text: str, message: str, tmp_path: Path
) -> None:
    path = _file(tmp_path, text)
    with pytest.raises(ValueError, match=message) as error:
        read_routes(path)
    assert str(path) in str(error.value)


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.xml does not exist"):
        read_routes(tmp_path / "nowhere.xml")
    damaged = tmp_path / "cut.xml.gz"
    damaged.write_bytes(gzip.compress(LEADERBOARD_1.encode())[:-20])
    with pytest.raises(ValueError, match=r"cannot read .*cut\.xml\.gz"):
        read_routes(damaged)


def test_longest6_keeps_all_routes_and_triggers() -> None:
    folder = data_folder("CARL_ROUTES_DIR", "routes")
    first, second = (read_routes(folder / f"longest6_v{version}.xml") for version in (1, 2))
    assert len(first) == len(second) == 36
    # Counts of the published file
    assert Counter(t.scenario_type for spec in second for t in spec.triggers) == {
        "DynamicObjectCrossing": 116,
        "SignalizedJunctionLeftTurn": 112,
        "ControlLoss": 80,
        "SignalizedJunctionRightTurn": 76,
        "OppositeVehicleRunningRedLight": 43,
        "VehicleTurningRoute": 2,
    }
    points = {spec.route_id: spec.waypoints for spec in first}
    for spec in second:
        np.testing.assert_allclose(spec.waypoints, points[spec.route_id], atol=1e-3)


ROACH = """<routes><route id="0"><ego_vehicle id="hero">
  <waypoint pitch="0" roll="0" x="334.7" y="150.0" yaw="90" z="0"/>
  <waypoint pitch="0" roll="0" x="334.7" y="250.0" yaw="90" z="0"/>
</ego_vehicle></route></routes>"""


def test_roach_route_has_its_town_from_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "scenario_descriptions" / "LeaderBoard" / "Town10HD_Opt" / "LeaderBoard"
    folder.mkdir(parents=True)
    (spec,) = read_routes(_file(folder, ROACH))
    assert spec.town == "Town10HD"
    np.testing.assert_array_equal(spec.waypoints, [[334.7, -150, 0], [334.7, -250, 0]])
    with pytest.raises(ValueError, match=r"no attribute 'town'.*in no folder named after one"):
        read_routes(_file(tmp_path, ROACH))
    two = ROACH.replace("</ego_vehicle>", '</ego_vehicle><ego_vehicle id="other"/>')
    assert len(read_routes(_file(folder, two))) == 1  # it stands where the scenario puts it
    two = two.replace('id="other"/>', 'id="other"><waypoint x="1" y="1" z="0"/></ego_vehicle>')
    with pytest.raises(ValueError, match=r"2 <ego_vehicle> have waypoints"):
        read_routes(_file(folder, two))


@pytest.mark.parametrize(
    "attribute",
    [
        *('map="Town01"', 'town="Town01_Opt"', 'town="Carla/Maps/Town01"'),
        *('town="/Game/Carla/Maps/Town01"', 'map="/Game/Carla/Maps/Town01_Opt"'),
        *('town=" Town01 "', 'town="Town01_Opt" map="/Game/Carla/Maps/Town01"'),
    ],
)
def test_town_may_be_spelt_as_carla_spells_it(tmp_path: Path, attribute: str) -> None:
    text = LEADERBOARD_1.replace('town="Town01"', attribute)
    assert read_routes(_file(tmp_path, text))[0].town == "Town01"


def test_two_towns_of_one_route_are_refused(tmp_path: Path) -> None:
    text = LEADERBOARD_1.replace('town="Town01"', 'town="Town01" map="Town02"')
    with pytest.raises(ValueError, match="town='Town01' and map='Town02': leave one of them out"):
        read_routes(_file(tmp_path, text))
