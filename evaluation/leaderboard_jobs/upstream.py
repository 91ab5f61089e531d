"""Where the leaderboard, scenario_runner and CARLA's `agents` package are on this machine."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

LEADERBOARD, SCENARIO_RUNNER, CARLA = "LEADERBOARD_ROOT", "SCENARIO_RUNNER_ROOT", "CARLA_ROOT"
EVALUATOR = Path("leaderboard") / "leaderboard_evaluator.py"
_MARKS = {
    LEADERBOARD: EVALUATOR,
    SCENARIO_RUNNER: Path("srunner") / "scenariomanager" / "carla_data_provider.py",
}
_AGENTS = Path("agents") / "navigation" / "global_route_planner.py"
_HOW_TO = """get all three like this (docs/leaderboard.md has the details):
  git clone https://github.com/carla-simulator/leaderboard
  git clone https://github.com/carla-simulator/scenario_runner -b v0.9.16
  git clone https://github.com/carla-simulator/carla -b 0.9.16 --depth 1 --filter=blob:none --sparse
  git -C carla sparse-checkout set PythonAPI/carla/agents
  export LEADERBOARD_ROOT=$PWD/leaderboard SCENARIO_RUNNER_ROOT=$PWD/scenario_runner
  export PYTHONPATH=$PWD/carla/PythonAPI/carla      # not needed with CARLA_ROOT set
  pip install -r docs/leaderboard_requirements.txt"""


class MissingUpstreamError(FileNotFoundError):
    """Something of the leaderboard is not on this machine; the message says how to get it."""


@dataclass(frozen=True)
class Upstream:
    """Folders of the three packages that are used but not part of this project."""

    leaderboard: Path
    scenario_runner: Path
    agents_parent: Path  # holds CARLA's `agents` package

    @property
    def evaluator(self) -> Path:
        """The evaluator's script."""
        return self.leaderboard / EVALUATOR

    def environment(self, package_root: Path) -> dict[str, str]:
        """Environment for an evaluator process.

        Args:
            package_root: Folder from which this project's packages are imported.
        """
        folders = (self.leaderboard, self.scenario_runner, self.agents_parent, package_root)
        inherited = os.environ.get("PYTHONPATH", "")
        return {
            **os.environ,
            LEADERBOARD: str(self.leaderboard),
            SCENARIO_RUNNER: str(self.scenario_runner),
            "PYTHONPATH": os.pathsep.join([*map(str, folders), *filter(None, [inherited])]),
            "PYTHONUNBUFFERED": "1",  # a growing log is how hangs are told from slow routes
        }


def find_upstream(leaderboard: str | None = None, scenario_runner: str | None = None) -> Upstream:
    """The folders that the arguments or the environment name.

    Args:
        leaderboard: Instead of `$LEADERBOARD_ROOT`.
        scenario_runner: Instead of `$SCENARIO_RUNNER_ROOT`.

    Raises:
        MissingUpstreamError: names everything that is missing, and how to get it.
    """
    found, missing = {}, []
    for variable, given in ((LEADERBOARD, leaderboard), (SCENARIO_RUNNER, scenario_runner)):
        folder = given or os.environ.get(variable)
        if not folder:
            missing.append(f"{variable} is not set")
        elif not (Path(folder) / _MARKS[variable]).is_file():
            missing.append(f"{variable}={folder} holds no {_MARKS[variable]}")
        else:
            found[variable] = Path(folder).resolve()
    agents = next((folder for folder in _agent_folders() if (folder / _AGENTS).is_file()), None)
    if agents is None:
        missing.append(f"no {_AGENTS} below $CARLA_ROOT/PythonAPI/carla or on PYTHONPATH")
    if agents is None or missing:
        raise MissingUpstreamError(
            f"the CARLA leaderboard is not complete: {'; '.join(missing)}.\n{_HOW_TO}"
        )
    return Upstream(found[LEADERBOARD], found[SCENARIO_RUNNER], agents.resolve())


def _agent_folders() -> list[Path]:
    root = os.environ.get(CARLA)
    listed = [Path(root) / "PythonAPI" / "carla"] if root else []
    search_path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [*listed, *(Path(entry) for entry in (*search_path, *sys.path) if entry)]
