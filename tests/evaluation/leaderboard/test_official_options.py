"""What an official run refuses before a server starts, and which folders are which routes."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from evaluation.leaderboard_jobs.job import RouteJob, job_of_folder, make_jobs
from evaluation.leaderboard_jobs.official_options import (
    check_towns,
    chosen_routes,
    write_agent_config,
)
from sim_adapters.carla.servers import ServerSettings
from sim_adapters.maps.route_file import RouteSpec, read_routes
from tests.evaluation.leaderboard.official_records import write_record

SHIPPED = sorted((Path(__file__).parents[3] / "evaluation" / "routes").glob("*.xml"))
GOOD = """<routes><route id="0" town="Town01"><weathers><weather route_percentage="0"/></weathers>
<waypoints><position x="200.0" y="2.0" z="0.0"/><position x="260.0" y="2.0" z="0.0"/></waypoints>
<scenarios/></route></routes>"""


def routes_of(folder: Path, text: str, *overrides: str, name: str = "routes.xml"):
    (folder / name).write_text(text)
    with initialize_config_module("configs", version_base="1.3"):
        config = compose("longest6_official", [f"routes={folder / name}", *overrides])
    return chosen_routes(config)


def test_a_route_that_the_evaluator_reads_is_taken(tmp_path):
    assert [spec.route_id for spec in routes_of(tmp_path, GOOD)] == ["0"]
    # Without the element the leaderboard has a weather of its own
    assert routes_of(
        tmp_path,
        GOOD.replace("<weathers><weather route_percentage", "<x><w r").replace(
            "</weathers>", "</x>"
        ),
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('<weather route_percentage="0"/>', "", "route 0: <weathers> holds no <weather>"),
        ('route_percentage="0"', 'id="Custom"', "no number as its route_percentage"),
        ('route_percentage="0"', 'route_percentage="soon"', "no number as its route_percentage"),
        ("<scenarios/>", "", "there is no <scenarios>"),
        ('id="0"', 'id="ego-1"', "its id|takes ids apart"),
    ],
)
def test_what_would_end_the_evaluator_is_refused_by_name(tmp_path, old, new, message):
    with pytest.raises(ValueError, match=message):
        routes_of(tmp_path, GOOD.replace(old, new))


def test_routes_that_are_not_driven_may_be_anything(tmp_path):
    bad = GOOD.replace('<weathers><weather route_percentage="0"/></weathers>', "<weathers/>")
    bad = bad.replace('id="0"', 'id="1"').removeprefix("<routes>")
    both = GOOD.replace("</routes>", bad)
    assert [spec.route_id for spec in routes_of(tmp_path, both, "route=0")] == ["0"]


def test_leaderboard_1_and_compressed_files_are_refused(tmp_path):
    old = """<routes><route id="7" town="Town01"><waypoint x="1" y="2" z="0" yaw="0"/>
    <waypoint x="50" y="2" z="0" yaw="0"/></route></routes>"""
    with pytest.raises(ValueError, match="leaderboard 1 route"):
        routes_of(tmp_path, old)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_the_shipped_files_can_be_driven_officially(file):
    with initialize_config_module("configs", version_base="1.3"):
        config = compose("longest6_official", [f"routes={file}"])
    routes = chosen_routes(config)
    assert routes
    assert all(spec.weathers for spec in routes)
    check_towns(routes, needs_maps=True)


@pytest.mark.parametrize("town", ["Town11", "Town12", "Town13"])
def test_large_towns_are_refused_where_a_map_is_needed(tmp_path, town):
    routes = routes_of(tmp_path, GOOD.replace("Town01", town))
    with pytest.raises(ValueError, match=rf"route 0: {town} is a large map.*without=\[0\]"):
        check_towns(routes, needs_maps=True)
    check_towns(routes, needs_maps=False)  # another agent on a real CARLA goes anywhere


def test_a_town_that_nobody_has_is_named_with_its_routes():
    spec = read_routes(SHIPPED[0])[0]
    routes = [RouteSpec(number, "Town99", spec.waypoints) for number in ("4", "6")]
    with pytest.raises(FileNotFoundError, match=r"route 4, 6: no OpenDRIVE file of 'Town99'"):
        check_towns(routes, needs_maps=True)


def test_hints_name_options_of_the_command_that_is_running(tmp_path):
    with initialize_config_module("configs", version_base="1.3"):
        official = compose("longest6_official").server.key
        training = compose("simulator/carla").simulator.server.key
    assert (official, training) == ("server", "simulator.server")
    with pytest.raises(ValueError, match=r"or use server\.kind=headless"):
        ServerSettings(kind="unreal", carla_root=str(tmp_path), key=official)


@pytest.mark.parametrize("route_id", ["3", "24_1", "1000", "007"])
def test_a_folder_belongs_to_the_route_of_its_record(tmp_path, route_id):
    (job,) = make_jobs([(route_id, "Town01")], range(5, 6), tmp_path)
    assert job_of_folder(job.folder, "Town01") is None  # nothing has been driven
    write_record(job)
    assert job_of_folder(job.folder, "Town01") == RouteJob(route_id, "Town01", 5, job.folder)


def test_a_shipped_policy_is_found_from_the_evaluators_folder(tmp_path):
    with initialize_config_module("configs", version_base="1.3"):
        config = compose(
            "longest6_official", ["routes=x.xml", "driver=policy", "checkpoint=pretrained/driver"]
        )
    written = OmegaConf.load(write_agent_config(tmp_path, config))
    assert Path(written.driver.checkpoint).is_file()
