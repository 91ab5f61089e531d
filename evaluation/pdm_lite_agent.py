"""The unmodified PDM-Lite expert (carla_garage, branch leaderboard_2) in the official leaderboard.

    python -m evaluation.longest6_official agent=evaluation/pdm_lite_agent.py name=pdm_lite ...

`PDM_LITE_ROOT` names a clone of carla_garage. Its expert expects its own fork of the leaderboard;
here it gets what it reads from there and runs under the unmodified evaluator. Its licence is its
own: nothing of it is part of this project.

Limit: its fork of scenario_runner tells it which scenarios block the road ahead, the unmodified one
does not. It overtakes route obstacles by that list alone; no longest6 route has such a scenario.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.leaderboard_agent.scenario_runner_repair import (
    leave_out_openscenario,
    remember_bounding_boxes,
)

leave_out_openscenario()  # where the evaluator was started by its own command

from leaderboard.autoagents.autonomous_agent import (  # noqa: E402 # pyright: ignore[reportMissingImports]
    AutonomousAgent,
    Track,
)
from srunner.scenariomanager.carla_data_provider import (  # noqa: E402 # pyright: ignore[reportMissingImports]
    CarlaDataProvider,
)

ROOT_VARIABLE = "PDM_LITE_ROOT"
_LOCAL_BASE = "leaderboard.autoagents.autonomous_agent_local"


def get_entry_point() -> str:
    """Name of the agent's class, which the evaluator asks for."""
    return "PdmLiteAgent"


class PdmLiteAgent(AutonomousAgent):
    """Hands the evaluator's plan and one IMU to the expert, and its control back."""

    def setup(self, path_to_conf_file: str) -> None:
        """Import the expert from its own folder."""
        self.track = Track.MAP
        remember_bounding_boxes()
        root = pdm_lite_root()
        os.chdir(root)  # it reads its speed limits by a path relative to its root
        sys.path.insert(0, str(root / "team_code"))
        _import_file(_LOCAL_BASE, root.joinpath("leaderboard", *_LOCAL_BASE.split(".")))
        restore_numpy_names()
        if not hasattr(CarlaDataProvider, "active_scenarios"):
            CarlaDataProvider.active_scenarios = []
        self.expert: Any = importlib.import_module("autopilot").AutoPilot(path_to_conf_file, 0)
        self.expert.set_global_plan(*self._dense_plan)
        self.expert.setup(path_to_conf_file, 0)

    def sensors(self) -> list[dict[str, Any]]:
        """The one sensor that the expert's control reads."""
        return [spec for spec in self.expert.sensors() if spec["type"] == "sensor.other.imu"]

    def set_global_plan(self, global_plan_gps: list, global_plan_world_coord: list) -> None:
        """Keep the dense plan for the expert."""
        super().set_global_plan(global_plan_gps, global_plan_world_coord)
        self._dense_plan = (global_plan_gps, global_plan_world_coord)

    def run_step(self, input_data: dict[str, Any], timestamp: float) -> Any:
        """The expert's control."""
        return self.expert.run_step(input_data, timestamp)


def restore_numpy_names() -> None:
    """Give numpy back, in this process, what the expert uses of it and newer ones left out."""
    for name, value in {"float": float, "object": object, "float_": np.float64}.items():
        if name not in vars(np):
            setattr(np, name, value)


def pdm_lite_root() -> Path:
    """Folder of the clone.

    Raises:
        FileNotFoundError: the variable is not set, or names something else.
    """
    root = os.environ.get(ROOT_VARIABLE, "")
    if not (Path(root) / "team_code" / "autopilot.py").is_file():
        raise FileNotFoundError(
            f"{ROOT_VARIABLE}={root} holds no team_code/autopilot.py: clone "
            "https://github.com/autonomousvision/carla_garage, branch leaderboard_2, and name it"
        )
    return Path(root).resolve()  # setup() changes the working folder


def _import_file(name: str, path: Path) -> None:
    """Import a single file of the expert's fork under the name that the expert asks for."""
    spec = importlib.util.spec_from_file_location(name, path.with_suffix(".py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
