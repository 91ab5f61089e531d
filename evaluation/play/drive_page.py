"""The page on which a person drives: the viewer's scene, with controls around it."""

from __future__ import annotations

import base64
from importlib.resources import files
from pathlib import Path

from evaluation.play.messages import ACTOR_COLUMNS
from evaluation.play.scripts import SCRIPTS
from evaluation.play.session import DrivingSession
from evaluation.viewer.page_file import VIEW_FILE, data_element, json_element, shell, write_page
from evaluation.viewer.town import pack_town
from sim_adapters.embedded.settings import SPARE_VEHICLES
from sim_adapters.world.slots import first_scripted_pedestrian


def drive_page(session: DrivingSession) -> str:
    """The HTML of the page, the town's picture in it."""
    layout, town = session.simulator.layout, session.scenario.town
    vehicles, pedestrians = session.simulator.background
    setup = {
        "town": town,
        "planner": session.planner.name,
        "routes": [
            {"id": name, "length_m": round(task.scenario.route.length_m)}
            for name, task in session.tasks.items()
        ],
        "scripts": [{"type": name, "label": script.label} for name, script in SCRIPTS.items()],
        "actor_columns": ACTOR_COLUMNS,
        "vehicles": vehicles,
        "most_vehicles": layout.first_pedestrian - layout.first_vehicle - SPARE_VEHICLES,
        "pedestrians": pedestrians,
        "most_pedestrians": int(first_scripted_pedestrian(layout)) - layout.first_pedestrian,
    }
    picture = base64.b64encode(pack_town(session.worlds.maps, town)).decode()
    data = [json_element("setup", setup), data_element("town", "text/plain", picture)]
    page = shell(files("evaluation.play") / "page", "play", "play.js")
    return page.replace("<!--DATA-->", "\n".join(data), 1)


def watch_page(folder: Path) -> str:
    """The viewer's page of all drives in a folder.

    Raises:
        FileNotFoundError: there is none yet.
    """
    return write_page([folder], folder / VIEW_FILE).read_text()
