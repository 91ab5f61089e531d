"""Judging a training by driving: figures by script, the best policy kept, nothing judged twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from carl_planner.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from carl_planner.training_run import FINAL, LATEST
from evaluation import judge as judge_module
from evaluation.calibration.drives import CalibrationDrive
from evaluation.calibration.trigger_watch import TriggerOutcome
from evaluation.judge import (
    BEST,
    JUDGED_FILE,
    JUDGED_PAGE,
    SCORE,
    Judgement,
    figures,
    judge,
    policies_to_judge,
)
from sim_adapters.gymnasium_envs import compose_config
from tests.evaluation.fake_drive import completed_drive


def outcome(kind: str, *, reached: bool = True, hit: bool = False, brings: bool = True):
    return TriggerOutcome(kind, kind, True, brings, reached_s=1.0 if reached else None, is_hit=hit)


def drive(route_id: str, completion: float, *outcomes: TriggerOutcome) -> CalibrationDrive:
    result = completed_drive(route_id=route_id, route_completion=completion)
    return CalibrationDrive(result, outcomes)


def checkpoint(samples: int) -> Checkpoint:
    boxes = {"vector": {"shape": [1], "dtype": "float32"}}
    return Checkpoint({}, {}, {}, boxes, {"shape": [2]}, progress={"samples": samples})


def test_hits_are_shares_of_the_scripts_that_were_reached_and_bring_somebody() -> None:
    walkers = [outcome("Walker", hit=True), outcome("Walker"), outcome("Walker", reached=False)]
    found = figures(
        [
            drive("1", 100.0, *walkers, outcome("Debris", brings=False)),
            drive("2", 60.0, outcome("Walker"), outcome("Turn", hit=True)),
        ]
    )
    assert found[SCORE] == pytest.approx(80.0)
    assert found["hit/Walker"] == pytest.approx(1 / 3)  # of three reached
    assert found["reached/Walker"] == 3.0
    assert found["hit/Turn"] == 1.0
    assert not any("Debris" in tag for tag in found)


def test_a_finished_run_is_judged_once_by_its_final_policy(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / LATEST, checkpoint(10))
    save_checkpoint(tmp_path / FINAL, checkpoint(20))
    assert [c.progress["samples"] for c in policies_to_judge(tmp_path, 30.0, [])] == [20]
    assert not list(policies_to_judge(tmp_path, 30.0, [Judgement(20, {})]))


def test_a_running_training_is_judged_whenever_it_has_gone_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge_module, "POLL_S", 0.001)
    save_checkpoint(tmp_path / LATEST, checkpoint(10))
    policies = policies_to_judge(tmp_path, 0.001, [])
    assert next(policies).progress["samples"] == 10
    save_checkpoint(tmp_path / LATEST, checkpoint(15))
    assert next(policies).progress["samples"] == 15
    save_checkpoint(tmp_path / FINAL, checkpoint(15))  # as it was judged before
    assert not list(policies)


def test_nothing_to_judge_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to judge"):
        list(policies_to_judge(tmp_path, 0.0, []))
    with pytest.raises(ValueError, match="is no folder"):
        judge(compose_config("judge", [f"run={tmp_path}/none", f"output={tmp_path}"]))


def test_the_best_policy_is_kept_and_the_page_has_all_judgements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter((40.0, 70.0, 55.0))

    def judged(config, policy: Path, samples: int) -> Judgement:
        assert policy.is_file()
        score = next(scores)
        ends = {f"{SCORE}_low": score - 5, f"{SCORE}_high": score + 5}
        return Judgement(
            samples, {SCORE: score, **ends, "score/route_completion": 90.0, "hit/T": 0.5}
        )

    monkeypatch.setattr(judge_module, "judge_policy", judged)
    config = compose_config("judge", [f"run={tmp_path}", "every_min=0", "nice=0"])
    best = []
    for samples in (1_000_000, 2_000_000, 3_000_000):
        saved = checkpoint(samples)
        saved.config["made_at"] = samples
        save_checkpoint(tmp_path / LATEST, saved)
        judge(config)
        best.append(load_checkpoint(tmp_path / "judged" / BEST).config["made_at"])
    assert best == [1_000_000, 2_000_000, 2_000_000]
    assert len((tmp_path / "judged" / JUDGED_FILE).read_text().splitlines()) == 3
    page = (tmp_path / "judged" / JUDGED_PAGE).read_text()
    assert "Best policy by driving score: 2.0 M" in page
    assert "<td>40.0</td><td>70.0</td><td>55.0</td>" in page
