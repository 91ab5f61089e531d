"""An evaluation in parts: nothing twice, nothing lost, and the results of one process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_module
from omegaconf import DictConfig, OmegaConf

from evaluation import evaluate
from evaluation.jobs.parts import Parts
from evaluation.rollout.benchmark import Benchmark
from tests.evaluation.jobs.counted_jobs import ROOT

LOCAL = {"_target_": "evaluation.jobs.command_job.LocalEngine"}
SLURM = {
    "_target_": "evaluation.jobs.slurm_engine.SlurmEngine",
    **{"folder": "${output}/slurm", "partition": None, "num_cpus": 1, "memory_gb": 1.0},
    **{"timeout_min": 5, "cluster": "local"},
}
UNITS = ["a", "b", "c", "d", "e"]


def config_of(folder: Path, engine: dict[str, Any], num_parts: int = 2) -> DictConfig:
    settings = {"output": str(folder), "num_parts": num_parts, "attempts": 2, "jobs": engine}
    return OmegaConf.create(settings)


def parts_of(config: DictConfig, **about: Any) -> Parts:
    driver = "tests.evaluation.jobs.fake_parts:drive"
    return Parts(config, UNITS, driver=driver, result="result.json", about=about)


def starts(folder: Path) -> list[str]:
    return sorted((folder / "starts").read_text().splitlines())


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # parts go on where their command was given


@pytest.mark.parametrize("engine", [LOCAL, SLURM], ids=["local", "slurm"])
def test_every_unit_is_driven_once_whichever_the_engine(
    tmp_path: Path, engine: dict[str, Any]
) -> None:
    folders = parts_of(config_of(tmp_path, engine)).drive()
    results = [json.loads((folder / "result.json").read_text()) for folder in folders]
    assert [result["units"] for result in results] == [["a", "c", "e"], ["b", "d"]]
    assert starts(tmp_path) == ["a c e", "b d"]


def test_a_part_that_fails_is_named_and_driven_alone_the_next_time(tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("d")
    parts = parts_of(config_of(tmp_path, LOCAL))
    assert not parts.is_resumed
    with pytest.raises(ValueError, match=r"1 of 2 parts have no result: part 2 of 2 .*job\.log"):
        parts.drive()
    assert starts(tmp_path) == ["a c e", "b d", "b d"]  # two attempts
    (tmp_path / "broken").unlink()
    again = parts_of(config_of(tmp_path, SLURM))
    assert again.is_resumed
    assert len(again.drive()) == 2
    assert starts(tmp_path) == ["a c e", "b d", "b d", "b d"]
    again.clear()
    assert not (tmp_path / "parts").exists()


def test_parts_of_something_else_are_driven_anew(tmp_path: Path) -> None:
    parts_of(config_of(tmp_path, LOCAL), checkpoint="one").drive()
    other = parts_of(config_of(tmp_path, LOCAL), checkpoint="two")
    assert not other.is_resumed
    other.drive()
    assert starts(tmp_path) == ["a c e", "a c e", "b d", "b d"]


def test_there_are_at_most_as_many_parts_as_units(tmp_path: Path) -> None:
    assert len(parts_of(config_of(tmp_path, LOCAL, num_parts=9)).drive()) == len(UNITS)
    with pytest.raises(ValueError, match="at least 1"):
        parts_of(config_of(tmp_path, LOCAL, num_parts=0))


def test_routes_end_the_same_in_parts_as_in_one_process(tmp_path: Path) -> None:
    words = ["driver=constant_speed", "benchmark=demo", f"output={tmp_path}", "jobs=local"]
    with initialize_config_module("configs", version_base="1.3"):
        config = compose("evaluate", [*words, "num_parts=2"])
    benchmark = Benchmark("demo", str(config.benchmark.routes))
    specs = benchmark.read()[:2]
    about = evaluate.describe(config, benchmark)
    together, _ = evaluate.drive_routes(config, specs, [0], lambda worlds: None)
    apart = evaluate.drive_in_parts(config, specs, about)

    def rows(results: Any) -> list[dict[str, Any]]:
        ordered = sorted(results, key=lambda result: result.route_id)
        return [result.as_row() | {"wall_s": 0.0} for result in ordered]

    assert rows(apart) == rows(together)
    assert len(list((tmp_path / "drives").glob("*.episode"))) == 2
    assert not (tmp_path / "parts").exists()
