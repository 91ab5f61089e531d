"""A run of the devkit in this process leaves the process and the machine as they were.

Needs the devkit (`make test-nuplan`).
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from tests.nuplan.tiny_log import TinyLog
from tests.nuplan.tiny_road import make_road

pytestmark = [pytest.mark.nuplan, pytest.mark.filterwarnings("ignore")]


def test_a_run_writes_to_a_folder_of_its_own_and_sets_no_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from sim_adapters.nuplan.devkit.challenge import DevkitChallenge, devkit_scenarios

    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    for name in ("EXP", "DATA", "MAPS"):
        monkeypatch.delenv(f"NUPLAN_{name}_ROOT", raising=False)
    before = dict(os.environ)
    make_road(tmp_path, TinyLog(tags={210: ("changing_lane",)}))
    roots = tmp_path / "logs", tmp_path / "maps"
    scenarios = devkit_scenarios(*roots)
    several = [DevkitChallenge(*roots, "simple", "nonreactive", scenarios) for _ in range(2)]
    assert len(list(scratch.glob("devkit_challenge_*"))) == 2
    assert 0.0 <= several[0].run(scenarios[0]).final_score <= 1.0
    several.clear()
    assert not list(scratch.glob("devkit_challenge_*"))
    assert dict(os.environ) == before
