"""Small map files that ask for gigabytes are refused, in a child process that is bounded."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sim_adapters.kernel_cache import kernel_folder
from sim_adapters.maps.opendrive import load_map_bank

ROAD = """
<road name="" length="{length}" id="{id}" junction="-1">
 <planView><geometry s="0" x="{x}" y="{y}" hdg="0" length="{length}"><line/></geometry></planView>
 <elevationProfile><elevation s="0" a="0" b="0" c="0" d="0"/></elevationProfile>
 <lanes><laneSection s="0"><center><lane id="0" type="none"/></center>
 <right><lane id="-1" type="driving"><width sOffset="0" a="3.5" b="0" c="0" d="0"/></lane></right>
 </laneSection></lanes></road>"""


def map_of(path: Path, *roads: tuple[float, float, float]) -> Path:
    """A file of straight roads (x, y, length)."""
    text = "".join(
        ROAD.format(id=number, x=x, y=y, length=length)
        for number, (x, y, length) in enumerate(roads, start=1)
    )
    header = '<header revMajor="1" revMinor="4" name="" north="0" south="0" east="0" west="0"/>'
    path.write_text(f'<?xml version="1.0"?><OpenDRIVE>{header}{text}</OpenDRIVE>')
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(kernel_folder()))
    monkeypatch.setenv("CARL_PLANNER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


LOAD_AND_MEASURE = """
import resource, sys
from sim_adapters.maps.opendrive import load_map_bank
try:
    load_map_bank([sys.argv[1]])
except ValueError as error:
    print(error)
both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
print(max(resource.getrusage(who).ru_maxrss for who in both))
"""


def test_roads_127_km_apart_are_refused(cache: Path, tmp_path: Path) -> None:
    path = map_of(tmp_path / "far.xodr", (0.0, 0.0, 60.0), (90e3, 90e3, 60.0))
    assert path.stat().st_size < 1500
    # In a process of its own: a worker forked from a large one counts that one's memory as well
    command = [sys.executable, "-c", LOAD_AND_MEASURE, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    reason, peak_kb = done.stdout.strip().rsplit("\n", 1)
    assert re.search(r"far.xodr .* within 90\.3 x 90\.2 km, 33 Gpixel", reason)
    assert int(peak_kb) < 2e6  # the raster alone would take 33 GB
    assert not list((cache / "maps").iterdir())


def test_roads_as_far_apart_as_a_large_town_are_taken(cache: Path, tmp_path: Path) -> None:
    path = map_of(tmp_path / "wide.xodr", (0.0, 0.0, 60.0), (3e3, 3e3, 60.0))
    assert load_map_bank([str(path)]).towns == ("wide",)


def test_work_that_asks_for_more_memory_than_it_may_have_ends_with_the_reason() -> None:
    code = (
        "import numpy as np\n"
        "from sim_adapters.maps.map_worker import map_work\n"
        "with map_work():\n"
        "    np.ones(6 << 30, np.uint8)\n"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert child.returncode == 3
    assert child.stderr.decode() == (
        "it needs more than 4 GiB of memory: its roads are too long or too far\n"
    )


@pytest.mark.parametrize(
    ("right", "wrong", "reason"),
    [
        # A circle of a micrometre is no road: its chords lead anywhere
        ("<line/>", '<arc curvature="1e6"/>', "lead elsewhere than their heading says"),
        ('id="-1" type', 'id="-2147483648" type', "no lane -2147483648 on road 1"),
        ('id="-1" type', 'id="-99999999999" type', "no lane -99999999999 on road 1"),
    ],
)
@pytest.mark.usefixtures("cache")
def test_numbers_that_no_road_has_are_refused(
    right: str, wrong: str, reason: str, tmp_path: Path
) -> None:
    path = map_of(tmp_path / "odd.xodr", (0.0, 0.0, 300.0))
    path.write_text(path.read_text().replace(right, wrong))
    with pytest.raises(ValueError, match=rf"odd\.xodr is no OpenDRIVE map.*{reason}"):
        load_map_bank([str(path)])
