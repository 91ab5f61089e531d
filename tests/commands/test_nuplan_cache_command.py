"""The scenario cache as a user makes it, and what it says when it can't."""

from collections.abc import Callable
from pathlib import Path

import pytest
from command_result import CommandResult

from sim_adapters.nuplan.scenario_cache.file import open_cache
from tests.nuplan.tiny_log import TinyLog, write_log
from tests.nuplan.tiny_map import write_map

CACHE = "sim_adapters.nuplan.cache"
Runner = Callable[..., CommandResult]


@pytest.mark.slow
def test_logs_are_read_in_parallel(run_command: Runner, tmp_path: Path) -> None:
    write_map(tmp_path / "maps")
    for seed in range(3):
        log = TinyLog(tags={250 + seed: ("changing_lane",)}, seed=seed)
        write_log(tmp_path / "logs" / f"log_{seed}.db", log)
    (tmp_path / "filter.yaml").write_text("scenario_types: [changing_lane]\n")
    result = run_command(
        CACHE,
        *("data_root=logs", "map_root=maps", "filter=filter.yaml", "out=cache", "num_workers=2"),
        folder=tmp_path,
    )
    assert result.status == 0, result.err
    assert "scenarios cached: 3 of 3 selected" in result.out
    assert len(open_cache(tmp_path / "cache")) == 3


def test_missing_logs_and_maps_are_named(run_command: Runner, tmp_path: Path) -> None:
    (tmp_path / "filter.yaml").write_text("scenario_types: [changing_lane]\n")
    keys = ("data_root=.", "map_root=.", "filter=filter.yaml", "out=cache", "num_workers=1")
    assert "holds no .db files" in run_command(CACHE, *keys, folder=tmp_path).error()
    write_log(tmp_path / "a.db")
    error = run_command(CACHE, *keys, folder=tmp_path).error()
    assert "nuplan-maps-v1.0.json is missing" in error
    assert "must be given" in run_command(CACHE, *keys[:2], folder=tmp_path).error()


def test_a_filter_that_keeps_nothing_ends_in_an_error(run_command: Runner, tmp_path: Path) -> None:
    write_map(tmp_path / "maps")
    write_log(tmp_path / "a.db")
    (tmp_path / "filter.yaml").write_text("scenario_tokens: ['abcdabcdabcdabcd']\n")
    keys = ("data_root=.", "map_root=maps", "filter=filter.yaml", "out=cache", "num_workers=1")
    result = run_command(CACHE, *keys, folder=tmp_path)
    assert "abcdabcdabcdabcd: in none of the logs" in result.out
    assert "no scenario was cached" in result.error()
