"""Ids are names: none leads a file out of its folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluation.leaderboard_jobs.job import make_jobs
from sim_adapters.maps.route_file import RouteSpec, checked_name, read_routes

PATHS = [
    *("../../x", "/etc/passwd", "a/b", "..", ".", ".hidden", "a\\b", "C:x", "a\nb", "a\x7fb"),
    *("a\u202eb", "a\u200bb", "\ufeffa", "a\x85b"),
    *("", " ", " 1", "1 ", "x" * 101, "ü" * 51, "a?b", "*"),
]
NAMES = ["0", "1711", "Town01_05", "RouteScenario_3_rep0", "route 7", "a-b.c", "größer", "x" * 100]


@pytest.mark.parametrize("route_id", PATHS)
def test_a_path_is_no_id(route_id: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the route id"):
        checked_name(route_id, "the route id")
    with pytest.raises(ValueError, match="the route id"):
        RouteSpec(route_id, "Town01", np.zeros((2, 3)))
    with pytest.raises(ValueError, match="the route id"):
        make_jobs([(route_id, "Town01")], range(1), tmp_path)


@pytest.mark.parametrize("route_id", NAMES)
def test_a_name_stays_as_it_is(route_id: str, tmp_path: Path) -> None:
    assert checked_name(route_id, "the route id") == route_id
    (job,) = make_jobs([(route_id, "Town01")], range(1), tmp_path)
    assert job.folder.parent == tmp_path


def test_a_route_file_with_a_path_for_an_id_is_named(tmp_path: Path) -> None:
    point = '<position x="0" y="0" z="0"/>'
    path = tmp_path / "routes.xml"
    path.write_text(
        f'<routes><route id="../../x" town="Town01"><waypoints>{point}{point}</waypoints></route>'
        "</routes>"
    )
    with pytest.raises(ValueError, match=r"routes\.xml: the route id '\.\./\.\./x' begins with"):
        read_routes(path)


def test_ids_that_would_share_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="routes 1 and 01 would both write to"):
        make_jobs([("1", "Town01"), ("01", "Town01")], range(2), tmp_path)
    assert len(make_jobs([("1", "Town01"), ("2", "Town01")], range(2), tmp_path)) == 4
