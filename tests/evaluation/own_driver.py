"""A driver of somebody who never touches this repository: a module and a YAML in a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

CODE = '''
import numpy as np


class Rolls:
    """Straight on with one pedal; counts how often it is asked."""

    def __init__(self, *, name: str, pedal: float) -> None:
        self.name, self.pedal, self.num_acts = name, pedal, 0

    def begin_episodes(self, agents, worlds) -> None:
        self.num_acts = 0

    def act(self, worlds):
        self.num_acts += 1
        num_drivers = worlds.scene.num_agents
        steer, pedal = np.zeros(num_drivers), np.full(num_drivers, self.pedal)
        return worlds.action_layout.encode(steer, pedal)
'''
YAML = """# With no more in it than any driver of configs/driver
_target_: own_driver_code.Rolls
name: rolls
pedal: 0.6
"""


def write_own_driver(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the folder, as if it were on PYTHONPATH; the YAML `driver=mine` below `configs`."""
    (folder / "own_driver_code.py").write_text(CODE)
    monkeypatch.syspath_prepend(folder)
    file = folder / "configs" / "driver" / "mine.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(YAML)
    return file


def run_command(main: object, monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    """A hydra command in this process."""
    monkeypatch.setattr("sys.argv", ["command", *words])
    assert callable(main)
    main()


def gained(x: np.ndarray) -> float:
    """Way between the first and the last place."""
    return float(abs(x[-1] - x[0]))
