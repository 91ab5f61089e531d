import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from evaluation.play.drive_page import drive_page, watch_page
from evaluation.play.server import Pages, PlayServer
from evaluation.play.session import DrivingSession
from tests.evaluation.viewer.browser import Browser, needs_chromium

READY = "window.play?.drive?.latest"


@pytest.fixture
def address(session: DrivingSession, folder: Path) -> Iterator[str]:
    """Of a server with cars and pedestrians, in a thread of its own."""
    session.simulator.set_background(20, 6)
    session.begin("10")
    server = PlayServer(session, Pages(lambda: drive_page(session), lambda: watch_page(folder)))
    started, loop = threading.Event(), asyncio.new_event_loop()
    serving = loop.create_task(server.run(started.set))

    def serve() -> None:
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(serving)

    thread = threading.Thread(target=serve)
    thread.start()
    assert started.wait(10.0)
    yield server.url
    loop.call_soon_threadsafe(serving.cancel)
    thread.join(10.0)
    loop.close()
    session.simulator.set_background(0, 0)


@needs_chromium
def test_a_person_drives_in_a_browser(address, tmp_path):
    with Browser(address, tmp_path / "profile", READY) as browser:
        found = browser.run(
            """
            found.where = text("where");
            found.driver = text("driver");
            found.hint = document.getElementById("hint").hidden;
            found.scripts = document.querySelectorAll("#scripts button").length;
            found.routes = document.getElementById("route").options.length;
            """
        )
        assert found == {
            "where": "Town02, route 10, seed 0",
            "driver": "you drive",
            "hint": False,
            "scripts": 7,
            "routes": 10,
        }
        browser.hold("ArrowUp")
        browser.run("await until(() => play.drive.latest.throttle > 0.9);")
        browser.run("await until(() => Number(text('speed')) > 5);")
        browser.release("ArrowUp")
        browser.hold("ArrowLeft")
        browser.run("await until(() => play.drive.latest.steer > 0.1);")
        browser.release("ArrowLeft")
        browser.hold("ArrowDown")
        browser.run("await until(() => play.drive.latest.brake > 0.9);")
        browser.release("ArrowDown")
        found = browser.run("found.hint = document.getElementById('hint').hidden;")
        assert found["hint"] is True
        browser.press("p")
        browser.run("await until(() => text('driver') === 'blind_follower drives');")
        browser.hold("ArrowDown")  # whoever brakes has the wheel
        browser.run("await until(() => text('driver') === 'you drive');")
        browser.release("ArrowDown")
        assert browser.problems == []


@needs_chromium
def test_scripts_traffic_and_ends_by_click_and_key(address, tmp_path):
    with Browser(address, tmp_path / "profile", READY) as browser:
        browser.run(
            """
            document.querySelectorAll("#scripts button")[0].click();
            await until(() => text("happened").startsWith("a pedestrian steps out"));
            choose("vehicles", 2);
            const cars = (row) => row[play.drive.column.kind] < 6;
            await until(() => [...play.drive.latest.actors.values()].filter(cars).length <= 3);
            """
        )
        for _ in range(4):  # the route has fewer right turns at lights
            browser.press("7")
        found = browser.run("await until(() => text('message')); found.said = text('message');")
        assert found["said"] == "there is no right turn at lights on the rest of this route"
        browser.press("x")
        found = browser.run(
            """
            await until(() => text("pause") === "go on");
            found.step = play.drive.latest.step;
            await new Promise((done) => setTimeout(done, 300));
            found.later = play.drive.latest.step;
            click("pause");
            await until(() => play.drive.latest.step > 60);  // long enough to be kept
            """
        )
        assert found["step"] == found["later"]
        browser.press("f")
        found = browser.run(
            """
            await until(() => !document.getElementById("over").hidden);
            found.why = text("over-why");
            const page = await fetch("/watch" + location.search);
            found.watched = (await page.text()).includes('"person/10/0"');
            """
        )
        assert found["why"] == "Stopped by the driver"
        assert found["watched"] is True
        browser.press("n")
        found = browser.run(
            """
            await until(() => play.drive.about.route === "11");
            found.over = document.getElementById("over").hidden;
            """
        )
        assert found["over"] is True
        assert browser.problems == []


@needs_chromium
def test_the_camera_turns_with_the_car_until_it_is_dragged(address, tmp_path):
    with Browser(address, tmp_path / "profile", READY) as browser:
        found = browser.run(
            """
            await painted();
            const { camera, size } = play.scene;
            const pose = play.drive.poseAt(0, play.shownS);
            found.ego = camera.toScreen([pose.x, pose.y], size);
            const nose = [pose.x + Math.cos(pose.yaw), pose.y + Math.sin(pose.yaw)];
            found.nose = camera.toScreen(nose, size);
            found.size = [size.width, size.height];
            """
        )
        assert found["ego"] == pytest.approx([found["size"][0] / 2, 0.68 * found["size"][1]], abs=2)
        assert found["nose"] == pytest.approx([found["ego"][0], found["ego"][1] - 9.0], abs=0.5)
        for kind, x in (("mousePressed", 700), ("mouseMoved", 760), ("mouseReleased", 760)):
            browser.mouse(kind, x, 400)
        assert browser.run("found.mode = play.cameraMode;")["mode"] == "free"
        browser.press("c")
        assert browser.run("found.mode = play.cameraMode;")["mode"] == "heading"
        assert browser.problems == []
