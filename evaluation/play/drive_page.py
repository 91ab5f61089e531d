"""The page on which a person drives: the viewer's scene, controls around it, what it is told."""

from __future__ import annotations

import base64
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.play.scripts import SCRIPTS
from evaluation.play.session import DrivingSession
from evaluation.recording.about import about_infraction
from evaluation.scoring.episode_result import penalty_factor
from evaluation.viewer.page_file import (
    VIEW_FILE,
    data_element,
    json_element,
    pack_town,
    shell,
    write_page,
)
from sim_adapters.embedded.settings import SPARE_VEHICLES
from sim_adapters.world.scenarios.state import Phase
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


# What the page is told: a drive when it begins, then twenty moments a second, as JSON values

# Columns of a moment's actors, in this order; the ego's row is the first
ACTOR_COLUMNS = (
    "id", "kind", "half_length_m", "half_width_m", "x", "y", "yaw_rad", "speed_mps", "lights",
)  # fmt: skip


def drive_message(session: DrivingSession) -> dict[str, Any]:
    """What stays as it is during a drive."""
    route, worlds = session.scenario.route, session.worlds
    return {
        "is": "drive",
        "number": session.number,
        "route": session.scenario.scenario_id,
        "town": session.scenario.town,
        "seed": session.task.seed,
        "length_m": round(route.length_m, 1),
        "x": np.round(route.x, 2).tolist(),
        "y": np.round(route.y, 2).tolist(),
        "step_s": worlds.scene.step_s,
        "num_lights": int(worlds.scene.lights.state.shape[1]),
    }


def moment_message(session: DrivingSession) -> dict[str, Any]:
    """The present of a drive, its score and its reward."""
    worlds, ego = session.worlds, session.worlds.scene.ego
    records, outcome = session.referee.records, session.outcome
    infractions = records.infractions[0]
    penalty = float(np.prod([penalty_factor(infraction) for infraction in infractions]))
    percent = float(records.route_percent[0])
    terms = {} if outcome is None else outcome.terms
    end = records.ends[0]
    return {
        "is": "moment",
        "step": session.num_steps,
        "actors": _actors(session),
        "lights": worlds.scene.lights.state[0].tolist(),
        "driver": str(session.driver),
        "steer": round(float(ego.steer[0]), 3),
        "throttle": round(float(ego.throttle[0]), 3),
        "brake": round(float(ego.brake[0]), 3),
        "limit_mps": round(float(ego.speed_limit_mps[0]), 2),
        "route_percent": round(percent, 2),
        "penalty": round(penalty, 4),
        "score": round(max(percent * penalty, 0.0), 2),
        "return": round(float(records.episode_return[0]), 3),
        "terms": {name: round(float(values[0]), 3) for name, values in terms.items()},
        "infractions": [about_infraction(infraction) for infraction in infractions],
        "scripts": _scripts(session),
        "end": None if end is None else str(end),
    }


def _actors(session: DrivingSession) -> list[list[float]]:
    """Rows of ACTOR_COLUMNS."""
    motion, traits = session.worlds.scene.motion, session.worlds.scene.traits
    there = np.flatnonzero(traits.valid[0])
    speed = np.hypot(motion.vx_mps[0, there], motion.vy_mps[0, there])
    columns = (
        traits.actor_id[0, there],
        traits.kind[0, there],
        np.round(traits.half_length_m[0, there], 2),
        np.round(traits.half_width_m[0, there], 2),
        np.round(motion.x[0, there], 2),
        np.round(motion.y[0, there], 2),
        np.round(motion.yaw_rad[0, there], 3),
        np.round(speed, 2),
        traits.lights[0, there],
    )
    return [list(row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def _scripts(session: DrivingSession) -> list[dict[str, Any]]:
    """Scripts of the drive: where each begins, and whether it waits, acts or is over."""
    phases = session.simulator.trigger_phases()[0]
    states = {int(Phase.WAITING): "waits", int(Phase.OVER): "over"}
    return [
        {
            "type": trigger.scenario_type,
            "label": SCRIPTS[trigger.scenario_type].label,
            "x": round(trigger.x, 2),
            "y": round(trigger.y, 2),
            "state": states.get(int(phases[index]), "acts"),
        }
        for index, trigger in enumerate(session.scenario.triggers)
    ]
