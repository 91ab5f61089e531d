import base64
import json
import re
from collections import Counter
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from evaluation.recording.about import about_infraction
from evaluation.recording.episode import unpack_episode
from evaluation.recording.folder import EpisodeFolder
from evaluation.recording.packing import unpack
from evaluation.scoring.episode_result import Infraction, InfractionKind
from evaluation.view import export_tables, main, parse
from evaluation.viewer import page_file
from evaluation.viewer.page_file import DATA_FOLDER, bundle, pack_layers, pack_town, write_page
from sim_adapters.maps.opendrive import load_map_bank
from tests.evaluation.recording.drives import small_drive
from tests.evaluation.viewer.browser import Browser, needs_chromium

ROAD = np.array([[-10.0, -2.0], [60.0, -2.0], [60.0, 6.0], [-10.0, 6.0]])
DIVIDER = np.array([[-10.0, 1.75], [60.0, 1.75]])
STOP_LINE = np.array([[28.0, -2.0, 28.0, 1.5, 0.0]])


def evaluation(folder: Path, *routes: str, **about) -> Path:
    """An evaluation's folder with recorded drives on these routes."""
    drives = EpisodeFolder(folder)
    for route in routes:
        drives.write(small_drive(route=route, **about))
    layers = {"road": [ROAD], "marking": [DIVIDER]}
    picture = pack_layers("Flatland", layers, stop_lines=STOP_LINE, stop_signs=np.zeros((0, 3)))
    (drives.path / "Flatland.town").write_bytes(picture)
    return folder


def index_of(page: Path) -> dict:
    found = re.search(r'id="index">(.*?)</script>', page.read_text(), re.DOTALL)
    assert found
    return json.loads(found[1])


def test_a_page_holds_all_drives_worst_first(tmp_path):
    evaluation(tmp_path / "a", "10", "9", planner="a")
    evaluation(tmp_path / "b", "9", planner="b", score=20.0)
    page = write_page([tmp_path], tmp_path / "view.html")
    rows = index_of(page)["episodes"]
    assert [row["name"] for row in rows] == ["b/9/0", "a/9/0", "a/10/0"]
    data = re.search(rf'id="{rows[0]["data"]}">(.*?)</script>', page.read_text())
    assert data
    assert unpack_episode(base64.b64decode(data[1])).about["score"] == 20.0
    assert "https://" not in page.read_text().replace("https://github.com", "")


def test_planners_of_one_name_are_told_apart_by_their_folders(tmp_path):
    for name in ("before", "after"):
        evaluation(tmp_path / name, "1")
    index = index_of(write_page([tmp_path], tmp_path / "view.html"))
    assert {row["planner"] for row in index["episodes"]} == {"policy (before)", "policy (after)"}
    assert index["title"] == "two routes: policy (after); policy (before)"


def test_names_from_route_files_cannot_end_the_data(tmp_path):
    evaluation(tmp_path, "</script><script>alert(1)</script>")
    page = write_page([tmp_path], tmp_path / "view.html")
    assert "alert(1)</script>" not in page.read_text()
    assert index_of(page)["episodes"][0]["route"].startswith("</script>")


def test_large_benchmarks_lie_in_script_files_beside_the_page(tmp_path, monkeypatch):
    evaluation(tmp_path, "1", "2")
    monkeypatch.setattr(page_file, "MOST_INLINE_BYTES", 1000)
    page = write_page([tmp_path], tmp_path / "view.html")
    names = {path.name for path in (tmp_path / DATA_FOLDER).iterdir()}
    assert names == {"drive-0.js", "drive-1.js", "town-0.js"}
    assert 'id="drive-0"' not in page.read_text()


def test_a_folder_without_drives_says_what_was_expected(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no recorded drive .* evaluation\.evaluate"):
        write_page([tmp_path], tmp_path / "view.html")
    evaluation(tmp_path, "1")
    (tmp_path / "drives" / "Flatland.town").unlink()
    with pytest.raises(FileNotFoundError, match=r"Flatland\.town is missing"):
        write_page([tmp_path], tmp_path / "view.html")


def test_the_command_writes_page_and_tables(tmp_path, monkeypatch):
    folder = evaluation(tmp_path / "run", "1", "2")
    monkeypatch.setattr("sys.argv", ["view", str(folder)])
    main()
    assert (folder / "view.html").is_file()
    assert export_tables([folder], tmp_path / "tables", "csv", "2") == 1
    assert [path.name for path in (tmp_path / "tables").iterdir()] == ["policy_route_2_seed_0.csv"]
    with pytest.raises(ValueError, match="no recorded drive of route 77"):
        export_tables([folder], tmp_path / "tables", "csv", "77")
    assert parse(["x"]).format == "csv"


@pytest.mark.parametrize("entry", ["app.js", "play.js"])
def test_scripts_share_one_scope_without_a_clash(entry):
    viewer, play = files("evaluation.viewer") / "page", files("evaluation.play") / "page"
    source = bundle((play, viewer), entry)
    named = re.findall(r"^(?:async )?(?:const|let|function|class) (\w+)", source, re.MULTILINE)
    assert [name for name, count in Counter(named).items() if count > 1] == []
    assert "import {" not in source
    assert "export " not in source


def test_a_town_is_packed_with_lanes_lines_and_lights():
    maps = load_map_bank(["Town02"])
    about, columns = unpack(pack_town(maps, "Town02"))
    assert about == {"town": "Town02"}
    assert len(columns["road.count"]) > 80
    assert columns["road.count"].sum() == len(columns["road.x"]) == len(columns["road.y"])
    num_lights = maps.ranges.signal[1] - maps.ranges.signal[0]
    assert set(columns["stop_line.light"]) == set(range(num_lights))
    # Every stop line lies across a road: within the bounds of the town, as long as a lane is wide
    length = np.hypot(
        columns["stop_line.x1"] - columns["stop_line.x0"],
        columns["stop_line.y1"] - columns["stop_line.y0"],
    )
    assert ((length > 2.0) & (length < 5.0)).all()


@needs_chromium
def test_a_drive_is_opened_played_and_searched_in_a_browser(tmp_path):
    evaluation(tmp_path / "a", "1", "2", planner="a", score=70.0)
    evaluation(tmp_path / "b", "1", planner="b", score=90.0, infractions=[])
    page = write_page([tmp_path], tmp_path / "view.html")
    with Browser(page.as_uri(), tmp_path / "profile") as browser:
        found = browser.run(
            """
            found.first = [text("drive-title"), text("drive-score"), text("time"), text("speed")];
            found.rows = document.querySelectorAll(".drive").length;
            document.querySelector("#infractions .event").click();
            await painted();
            found.before = text("time");  // two seconds before the red light at 3 s
            """
        )
        assert found["first"] == ["Route 1", "70.0", "0:00.0 / 0:04.0", "10.0"]
        assert found["rows"] == 3
        assert found["before"].startswith("0:01.0")
        browser.press(" ")
        browser.run("await until(() => viewer.player.timeS > 1.5);")
        browser.press(" ")
        assert browser.run("found.playing = viewer.player.isPlaying;") == {"playing": False}
        browser.run("viewer.seek(1.0); found.zoom = viewer.scenes[0].camera.zoom;")
        for key in ("ArrowRight", ".", "+"):
            browser.press(key)
        found = browser.run("found.time = text('time'); found.zoom = viewer.scenes[0].camera.zoom;")
        assert found["time"].startswith("0:02.1")
        assert found["zoom"] == pytest.approx(6.0 * 1.25)
        found = browser.run(
            "choose('timeline', 3.5, 'input'); await painted(); found.t = text('time')"
        )
        assert found["t"].startswith("0:03.5")
        browser.press("n")
        browser.run("await until(() => viewer.drive.about.route === '2');")
        browser.press("p")
        browser.run("await until(() => viewer.drive.about.route === '1');")
        found = browser.run(
            """
            choose("filter-infraction", "-");
            const faults = document.querySelectorAll(".drive .faults");
            found.clean = [...faults].map((element) => element.textContent);
            choose("filter-infraction", "");
            """
        )
        assert found["clean"] == ["no infraction"]
        browser.press("?")
        assert browser.run("found.open = document.getElementById('help').open;")["open"] is True
        browser.press("Escape")
        before, after = (
            browser.run(THEME)["theme"],
            browser.run("click('theme');" + THEME)["theme"],
        )
        assert {before, after} == {"light", "dark"}
        assert browser.problems == []


THEME = "found.theme = document.documentElement.dataset.theme;"


@needs_chromium
def test_what_is_drawn_lies_where_it_was_recorded(tmp_path):
    page = write_page([evaluation(tmp_path, "1")], tmp_path / "view.html")
    with Browser(page.as_uri(), tmp_path / "profile") as browser:
        found = browser.run(
            """
            const { drive, scenes } = viewer;
            viewer.seek(2.0);  // the end of step 19
            await painted();
            const at = (track) => {
              const pose = drive.poseAt(track, 2.0);
              return [pose.x, pose.y, pose.yaw];
            };
            found.poses = [at(0), at(1), at(2)];
            found.between = drive.poseAt(0, 2.05).x;
            found.gone = [drive.poseAt(1, 0.5), drive.presentAt(0.5), drive.presentAt(2.0)];
            found.light = [drive.light(0, 29), drive.light(0, 30)];
            found.percent = drive.timeAtPercent(50);
            const [{ camera, size }] = scenes;
            found.size = [size.width, size.height];
            found.ego = camera.toScreen([19, 0], size);
            found.north = camera.toScreen([19, 10], size);
            const { canvas } = scenes[0];
            const whole = [0, 0, canvas.width, canvas.height];
            const { data } = canvas.getContext("2d").getImageData(...whole);
            found.colours = [[40, 5], [40, 20]].map((place) => {
              const [column, row] = camera.toScreen(place, size).map(Math.floor);
              return data[4 * (row * canvas.width + column)];
            });
            const corner = canvas.getBoundingClientRect();
            const [x, y] = camera.toScreen([51, 3.5], size);
            found.car = [corner.x + x, corner.y + y];
            """
        )
        np.testing.assert_allclose(found["poses"][0], [19.0, 0.0, 0.0], atol=0.006)
        np.testing.assert_allclose(found["poses"][1], [51.0, 3.5, np.pi], atol=0.006)
        np.testing.assert_allclose(found["poses"][2], [25.0, -4.0, 0.0], atol=0.006)
        assert found["between"] == pytest.approx(19.5, abs=0.01)
        assert found["gone"] == [None, [2, 0], [2, 1, 0]]
        assert found["light"] == [0, 2]
        assert found["percent"] == pytest.approx(2.0)  # 2.5 % a step
        np.testing.assert_allclose(found["ego"], np.array(found["size"]) / 2, atol=0.1)
        assert found["north"] == pytest.approx([found["ego"][0], found["ego"][1] - 60.0])
        assert found["colours"][0] != found["colours"][1]
        for kind in ("mousePressed", "mouseReleased"):  # on the oncoming car
            browser.mouse(kind, *found["car"])
        browser.press("v")
        found = browser.run("found.who = text('followed'); found.seen = text('seen');")
        assert found["who"].startswith("car 9: 10.0 m/s, 32.2 m")
        assert found["seen"].startswith("speed0.66route 2m forward1.00")
        assert browser.problems == []


@needs_chromium
def test_two_drives_of_a_route_run_side_by_side(tmp_path):
    for name, score in (("a", 50.0), ("b", 60.0)):
        evaluation(tmp_path / name, "1", planner=name, score=score)
    page = write_page([tmp_path], tmp_path / "view.html")
    with Browser(page.as_uri(), tmp_path / "profile") as browser:
        found = browser.run(
            """
            const { options } = document.getElementById("compare");
            found.offered = [...options].map((option) => option.text);
            choose("compare", options[1].value);
            await until(() => viewer.scenes[1].drive);
            choose("sync", "place");
            viewer.seek(3.0);
            await painted();
            found.planners = viewer.scenes.map((scene) => scene.drive.about.planner);
            found.hidden = document.getElementById("pane-2").hidden;
            choose("compare", "");
            found.closed = document.getElementById("pane-2").hidden;
            """
        )
        assert found["offered"] == ["beside: nothing", "beside: b, seed 0: 60.0"]
        assert found["planners"] == ["a", "b"]
        assert (found["hidden"], found["closed"]) == (False, True)
        assert browser.problems == []


@needs_chromium
def test_a_large_benchmark_loads_its_drives_on_demand(tmp_path, monkeypatch):
    evaluation(tmp_path, *map(str, range(1000)))
    monkeypatch.setattr(page_file, "MOST_INLINE_BYTES", 1000)
    page = write_page([tmp_path], tmp_path / "view.html")
    with Browser(page.as_uri(), tmp_path / "profile") as browser:
        found = browser.run(
            """
            found.rows = document.querySelectorAll(".drive").length;
            found.kept = viewer.store.drives.size;
            for (let i = 1; i <= 12; i++) {
              press("n");
              await until(() => viewer.drive.about.route === String(i));
            }
            found.later = viewer.store.drives.size;
            choose("filter-route", "99", "input");
            found.filtered = text("count");
            """
        )
        assert (found["rows"], found["kept"], found["later"]) == (1000, 1, 8)
        assert found["filtered"] == "19 of 1000 drives · mean score 70.0"
        assert browser.problems == []


@needs_chromium
def test_what_was_seen_is_drawn_from_where_the_ego_was_then(tmp_path):
    drive = small_drive()
    values = drive.seen.values.copy()
    pairs = np.arange(drive.num_steps) // 2  # an action is held for two steps
    values[drive.seen.names.index("actor_0_forward")] = 0.5 - 0.03125 * pairs
    folder = EpisodeFolder(evaluation(tmp_path, "7"))
    folder.write(replace(drive, seen=drive.seen._replace(values=values)))
    page = write_page([tmp_path], tmp_path / "view.html")
    with Browser(page.as_uri(), tmp_path / "profile") as browser:
        found = browser.run("found.s = [0, 1, 10, 11].map((k) => viewer.drive.seenTimeAt(k));")
    # Steps 10 and 11 are decided on what there was to see when step 9 had ended, at 1.0 s
    assert found["s"] == pytest.approx([0.0, 0.0, 1.0, 1.0])


@needs_chromium
def test_a_quarter_slower_than_traffic_says_by_how_much(tmp_path):
    slow = Infraction(InfractionKind.MINIMUM_SPEED, 3.0, 29.0, 0.0, 0.0, percent=84.0)
    evaluation(tmp_path, "7", infractions=[about_infraction(slow)])
    page = write_page([tmp_path], tmp_path / "view.html")
    with Browser(page.as_uri(), tmp_path / "profile") as browser:
        found = browser.run("found.row = text('infractions'); found.name = text('drives');")
    assert "slower than traffic by 16\N{NO-BREAK SPACE}%" in found["row"]
    assert "0.95" in found["row"]
    assert "slower than traffic" in found["name"]


@needs_chromium
def test_what_an_end_costs_is_marked_in_a_row_of_its_own(tmp_path):
    drive = small_drive()
    cost = np.zeros(drive.num_steps)
    cost[29] = -1.5  # at 3.0 s, where the red light was run
    folder = EpisodeFolder(evaluation(tmp_path, "7"))
    folder.write(replace(drive, terms={"progress": drive.terms["progress"], "terminal": cost}))
    page = write_page([tmp_path], tmp_path / "view.html")
    script = """
        const { picture } = viewer.charts;
        const row = picture.height - 24;  // above the axis: the last term's
        const { data } = picture.getContext("2d").getImageData(0, row, picture.width, 1);
        found.share = [];
        for (let x = 112; x < picture.width; x++) {
          const [red, green, blue, alpha] = data.slice(4 * x, 4 * x + 4);
          if (alpha > 200 && red > green + 80) found.share.push((x - 112) / (picture.width - 122));
        }
    """
    with Browser(page.as_uri(), tmp_path / "profile") as browser:
        share = browser.run(script)["share"]
    assert 1 <= len(share) <= 30  # one step of forty in some 750 pixels, three of them wider
    assert np.mean(share) == pytest.approx(29.5 / 40, abs=0.02)
