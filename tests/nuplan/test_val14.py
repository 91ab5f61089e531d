"""Val14 on a cache: selection, aggregation, files, resuming, failures by name, comparison."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from hydra.errors import InstantiationException
from hydra.utils import instantiate

from evaluation import compare, evaluate
from evaluation.nuplan_metrics import MetricScores, ScenarioScores
from evaluation.nuplan_metrics.scoring import METRICS
from evaluation.val14 import rollout as val14_rollout
from evaluation.val14.benchmark import NUPLAN, SYNTHETIC, Val14, provenance
from evaluation.val14.files import (
    Drive,
    DrivenScenarios,
    ScenarioBook,
    read_scenarios,
    val14_scores,
)
from evaluation.val14.rollout import UnfitDriverError
from evaluation.val14.selection import select
from sim_adapters.nuplan.scenario_cache.build import CacheJob, build_cache
from sim_adapters.nuplan.scenario_cache.file import MapFolder, ScenarioCache, open_cache
from sim_adapters.nuplan.scenario_cache.record import ScenarioName
from sim_adapters.nuplan.scenario_filter import ScenarioFilter
from sim_adapters.nuplan.scenario_mapping import load_mapping
from tests.evaluation.own_driver import run_command, write_own_driver
from tests.nuplan.policy_files import released_checkpoint
from tests.nuplan.tiny_log import TinyLog, write_log

pytestmark = pytest.mark.usefixtures("own_map_cache")

TAGS = {
    210: ("changing_lane",),
    230: ("changing_lane",),
    300: ("high_magnitude_speed",),
}
FIRST, SECOND, THIRD = (TinyLog().frame_token(frame) for frame in TAGS)
PERFECT = MetricScores(1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def cache_folder(tmp_path_factory: pytest.TempPathFactory, tiny_map_root: Path) -> Path:
    root = tmp_path_factory.mktemp("val14")
    write_log(root / "logs" / "tiny.db", TinyLog(tags=TAGS))
    wanted = ScenarioFilter(scenario_types=("changing_lane", "high_magnitude_speed"))
    build_cache(CacheJob((root / "logs",), tiny_map_root, wanted, root / "cache", num_workers=1))
    return root / "cache"


@pytest.fixture
def cache(cache_folder: Path) -> ScenarioCache:
    return open_cache(cache_folder)


def run(cache_folder: Path, map_root: Path | None, output: Path, *options: str) -> DrivenScenarios:
    overrides = [f"cache={cache_folder}", f"output={output}", *options]
    if map_root is not None:
        overrides.append(f"map_root={map_root}")
    with initialize_config_module("configs", version_base="1.3"):
        config = compose("evaluate", ["benchmark=val14", *overrides])
    benchmark = instantiate(config.benchmark)
    assert isinstance(benchmark, Val14)
    return benchmark.evaluate(config)


def scored(token: str, metrics: MetricScores | None, kind: str = "changing_lane") -> ScenarioScores:
    return ScenarioScores(token, kind, "a log", metrics, failure="" if metrics else "a reason")


# Selection -----------------------------------------------------------------------------------


def test_without_a_filter_the_whole_cache_is_driven(cache: ScenarioCache) -> None:
    assert {name.token for name in select(cache, ScenarioFilter()).names} == {FIRST, SECOND, THIRD}


def test_wanted_tokens_that_the_cache_lacks_are_named(cache: ScenarioCache) -> None:
    lacking = "00" * 8
    selection = select(cache, ScenarioFilter(scenario_tokens=(FIRST, lacking)))
    assert [name.token for name in selection.names] == [FIRST]
    assert selection.missing == {lacking: "not in the cache"}


def test_wanted_tokens_of_another_type_are_named(cache: ScenarioCache) -> None:
    wanted = ScenarioFilter(scenario_tokens=(FIRST, THIRD), scenario_types=("changing_lane",))
    selection = select(cache, wanted)
    assert [name.token for name in selection.names] == [FIRST]
    assert "type high_magnitude_speed is not among" in selection.missing[THIRD]


def test_numbers_of_a_type_are_kept(cache: ScenarioCache) -> None:
    names = select(cache, ScenarioFilter(num_scenarios_per_type=1)).names
    assert sorted(name.scenario_type for name in names) == ["changing_lane", "high_magnitude_speed"]


def test_types_that_the_cache_lacks_are_named_and_mistyped_ones_refused(
    cache: ScenarioCache, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = ScenarioFilter(scenario_types=("changing_lane", "starting_u_turn"))
    assert len(select(cache, wanted).names) == 2
    assert "1 scenario types of the filter have no scenario in" in caplog.text
    with pytest.raises(ValueError, match=r"'changing_lan' is no type .* mean changing_lane\?"):
        select(cache, ScenarioFilter(scenario_types=("changing_lan", "high_magnitude_speed")))


@pytest.mark.parametrize("content", ["", "[]", '{"skipped": {}}', '{"missing_tokens": 1}'])
def test_a_damaged_report_of_a_cache_is_named(
    content: str, cache_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "index.json").write_bytes((cache_folder / "index.json").read_bytes())
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(ValueError, match=r"report.json cannot be read .* run the cache command"):
        select(open_cache(tmp_path), ScenarioFilter())


def test_a_filter_that_takes_nothing_is_an_error(cache: ScenarioCache) -> None:
    with pytest.raises(ValueError, match="no scenario to drive"):
        select(cache, ScenarioFilter(map_names=("atlantis",)))


def test_only_nuplan_s_own_logs_and_maps_give_nuplan_scores() -> None:
    genuine = "2021.05.12.22.00.38_veh-35_01008_01518"
    strip = "us-nv-las-vegas-strip"
    assert provenance([ScenarioName("a", "b", genuine, strip)]) is NUPLAN
    assert provenance([ScenarioName("a", "b", "carla-town01_0000", strip)]) is SYNTHETIC
    assert provenance([ScenarioName("a", "b", genuine, "carla-town01")]) is SYNTHETIC
    assert "not nuPlan results" in SYNTHETIC.warning


@pytest.mark.parametrize(
    ("filter_name", "location", "title"),
    [
        ("val14_split", "us-ma-boston", "Val14 scores"),
        ("test14-hard", "us-ma-boston", "test14-hard scores"),
        ("val14_split (changed)", "us-ma-boston", "val14_split (changed) scores"),
        ("reduced_val14_split", "us-ma-boston", "reduced_val14_split scores"),
        ("", "us-ma-boston", "nuPlan scores of no named filter"),
        ("val14_split", "carla-town01", "synthetic scores of val14_split"),
        ("", "carla-town01", "synthetic scores"),
    ],
)
def test_scores_are_titled_by_their_filter(filter_name: str, location: str, title: str) -> None:
    name = ScenarioName("a", "b", "2021.05.12.22.00.38_veh-35_01008_01518", location)
    assert provenance([name], filter_name).score_title == title


# Aggregation ---------------------------------------------------------------------------------


def test_the_score_is_the_mean_over_scenarios_not_over_types() -> None:
    crashed = PERFECT._replace(no_ego_at_fault_collisions=0.0)
    results = [scored("a", PERFECT), scored("b", PERFECT), scored("c", crashed, "other")]
    scores = val14_scores(results)
    assert scores.score.value == pytest.approx(200.0 / 3.0)
    assert scores.types["changing_lane"].score is not None
    assert scores.types["changing_lane"].score.value == pytest.approx(100.0)
    assert scores.types["other"].metrics["no_ego_at_fault_collisions"] == 0.0
    assert scores.score.low < scores.score.value < scores.score.high


def test_gains_are_the_points_lost_to_one_metric() -> None:
    slow = PERFECT._replace(ego_progress_along_expert_route=0.5)  # 1 - 5 * 0.5 / 16 = 0.84375
    both = slow._replace(no_ego_at_fault_collisions=0.5)
    gains = val14_scores([scored("a", slow), scored("b", both)]).gains
    assert gains["ego_progress_along_expert_route"] == pytest.approx(
        100 * (0.15625 + 0.5 * 0.15625) / 2
    )
    assert gains["no_ego_at_fault_collisions"] == pytest.approx(100 * 0.421875 / 2)
    assert gains["ego_is_comfortable"] == 0.0


def test_failed_scenarios_are_counted_and_don_t_score_zero() -> None:
    scores = val14_scores([scored("a", PERFECT), scored("b", None)])
    assert scores.score.value == 100.0
    assert (scores.num_done, scores.num_scenarios) == (1, 2)
    assert not scores.is_complete
    with pytest.raises(ValueError, match="none of 1 scenarios has a score: a reason"):
        val14_scores([scored("b", None)])


# Files ---------------------------------------------------------------------------------------


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    drive, about = Drive("idm", "reactive"), {"planner": "idm"}
    book = ScenarioBook(tmp_path, about)
    unbounded = ScenarioScores("a", "t", "l", PERFECT, {"min_time_to_collision_s": np.inf})
    book.add(drive, [unbounded, scored("b", None)])
    again = ScenarioBook(tmp_path, about)
    assert again.scored(drive) == {"a": unbounded}  # the failed one is tried again
    again.add(drive, [scored("b", PERFECT)])
    assert {one.token for one in read_scenarios(tmp_path)[1][drive]} == {"a", "b"}


def test_scenarios_of_another_checkpoint_are_kept_and_named(tmp_path: Path) -> None:
    first, other = ({"planner": "policy", "checkpoint": name} for name in ("a.pt", "b.pt"))
    ScenarioBook(tmp_path, first)
    book = ScenarioBook(tmp_path, other)  # nothing was driven yet
    book.add(Drive("policy", "reactive"), [scored("a", PERFECT)])
    before = (tmp_path / "scenarios.jsonl").read_bytes()
    with pytest.raises(ValueError, match=r"checkpoint=b\.pt \(not a\.pt\): choose .* output="):
        ScenarioBook(tmp_path, first)
    assert (tmp_path / "scenarios.jsonl").read_bytes() == before


def damage(path: Path, line: int) -> None:
    """Cut the end off one line."""
    lines = path.read_text().splitlines()
    lines[line] = lines[line][:-5]
    path.write_text("\n".join(lines) + "\n")


def test_a_last_line_that_a_kill_cut_short_costs_its_scenario_alone(tmp_path: Path) -> None:
    drive, about = Drive("idm", "reactive"), {"planner": "idm"}
    ScenarioBook(tmp_path, about).add(drive, [scored("a", PERFECT), scored("b", PERFECT)])
    path = tmp_path / "scenarios.jsonl"
    os.truncate(path, path.stat().st_size - 20)
    assert read_scenarios(tmp_path)[1][drive] == [scored("a", PERFECT)]
    again = ScenarioBook(tmp_path, about)
    assert set(again.scored(drive)) == {"a"}
    again.add(drive, [scored("b", PERFECT)])
    assert set(ScenarioBook(tmp_path, about).scored(drive)) == {"a", "b"}


def test_a_run_that_was_killed_before_its_first_scenario_starts_anew(tmp_path: Path) -> None:
    (tmp_path / "scenarios.jsonl").write_text('{"planner": "id')
    ScenarioBook(tmp_path, {"planner": "idm"})
    assert read_scenarios(tmp_path) == ({"planner": "idm"}, {})


def test_another_damaged_line_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    drive, about = Drive("idm", "reactive"), {"planner": "idm"}
    ScenarioBook(tmp_path, about).add(drive, [scored(token, PERFECT) for token in "abc"])
    damage(tmp_path / "scenarios.jsonl", 2)
    assert set(ScenarioBook(tmp_path, about).scored(drive)) == {"a", "c"}
    assert "1 lines of" in caplog.text
    assert "the first is line 3" in caplog.text


def test_a_file_that_does_not_say_what_it_is_about_is_kept_and_named(tmp_path: Path) -> None:
    about, path = {"planner": "idm"}, tmp_path / "scenarios.jsonl"
    ScenarioBook(tmp_path, about).add(Drive("idm", "reactive"), [scored("a", PERFECT)])
    damage(path, 0)
    before = path.read_bytes()
    for read in (lambda: ScenarioBook(tmp_path, about), lambda: read_scenarios(tmp_path)):
        with pytest.raises(ValueError, match="move the file away and evaluate again"):
            read()
    assert path.read_bytes() == before
    with pytest.raises(FileNotFoundError, match="benchmark=val14"):
        read_scenarios(tmp_path / "elsewhere")


# The command ---------------------------------------------------------------------------------


def test_the_command_accounts_for_every_scenario(
    cache_folder: Path, tiny_map_root: Path, tmp_path: Path
) -> None:
    wanted = tmp_path / "filter.yaml"
    wanted.write_text(f"scenario_tokens: ['{FIRST}', '{THIRD}', '{'00' * 8}']\n")
    output = tmp_path / "out"
    options = ("driver=nuplan/log_replay", "mode=nonreactive", f"filter={wanted}")
    results = run(cache_folder, tiny_map_root, output, *options, "yardsticks=[constant_speed]")
    assert list(results) == [Drive(p, "nonreactive") for p in ("log_replay", "constant_speed")]
    document = json.loads((output / "results.json").read_text())
    first = document["drives"][0]
    assert (first["num_done"], first["num_scenarios"]) == (2, 3)
    assert first["failed"] == {"00" * 8: "not in the cache"}
    assert document["about"]["scores"] == "synthetic scores of filter"
    with (output / "scenarios.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    done = [row for row in rows if row["status"] == "done"]
    assert all(0.0 <= float(row[name]) <= 1.0 for row in done for name in METRICS)
    html = (output / "report.html").read_text()
    assert "not nuPlan results" in html
    assert "00" * 8 in html


def test_scenarios_score_the_same_in_parts_as_in_one_process(
    cache_folder: Path, tiny_map_root: Path, tmp_path: Path
) -> None:
    options = ("driver=nuplan/idm", "mode=reactive", "yardsticks=[log_replay]")
    together = run(cache_folder, tiny_map_root, tmp_path / "together", *options)
    apart = run(
        cache_folder, tiny_map_root, tmp_path / "apart", *options, "jobs=local", "num_parts=2"
    )
    assert apart == together
    folders = {path.name for path in (tmp_path / "apart").iterdir() if path.is_dir()}
    assert folders == {"idm_reactive", "log_replay_reactive"}  # recorded drives, no parts
    assert not any(one.failure for scenarios in apart.values() for one in scenarios)


def test_a_scenario_that_fails_costs_the_others_nothing(
    cache_folder: Path, tiny_map_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate = val14_rollout.simulate

    def failing(logs: Sequence[object], *arguments: object, **options: object) -> object:
        if any(log.token == SECOND for log in logs):  # type: ignore[attr-defined]
            raise RuntimeError("the engine stalled")
        return simulate(logs, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(val14_rollout, "simulate", failing)
    options = ("driver=nuplan/constant_speed", "mode=nonreactive", "yardsticks=[]")
    results = run(cache_folder, tiny_map_root, tmp_path, *options)
    (scenarios,) = results.values()
    failures = {one.token: one.failure for one in scenarios}
    assert failures == {FIRST: "", SECOND: "RuntimeError: the engine stalled", THIRD: ""}


@pytest.mark.parametrize("lacking", [True, False])
def test_a_run_with_failed_scenarios_does_not_end_well(
    lacking: bool, cache_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = [FIRST, "00" * 8] if lacking else [FIRST]
    (tmp_path / "filter.yaml").write_text(f"scenario_tokens: {tokens}\n")
    arguments = [
        *("benchmark=val14", f"cache={cache_folder}", "planner=constant_speed", "yardsticks=[]"),
        *(f"output={tmp_path}/out", "mode=nonreactive", f"filter={tmp_path}/filter.yaml"),
    ]
    monkeypatch.setattr("sys.argv", ["evaluate", *arguments])
    if lacking:
        with pytest.raises(SystemExit, match="a score: 1 of constant_speed/nonreactive; the re"):
            evaluate.main()
    else:
        evaluate.main()
    assert (tmp_path / "out" / "report.html").is_file()


def test_a_driver_of_ones_own_drives_by_its_yaml(
    cache_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_own_driver(tmp_path, monkeypatch)
    run_command(
        evaluate.main,
        monkeypatch,
        *("--config-dir", str(file.parents[1]), "benchmark=val14", "driver=mine"),
        *(f"cache={cache_folder}", "mode=nonreactive", f"output={tmp_path / 'out'}"),
        "yardsticks=[log_replay]",
    )
    about, results = read_scenarios(tmp_path / "out")
    assert about["planner"] == "rolls"
    assert list(results) == [Drive(p, "nonreactive") for p in ("rolls", "log_replay")]
    assert all(one.metrics is not None for rows in results.values() for one in rows)


def test_a_policy_s_scores_do_not_depend_on_how_many_scenarios_are_driven_at_once(
    tiny_map_root: Path, tmp_path: Path
) -> None:
    """Four scenarios in batches of one, and of three and one."""
    tags = {frame: ("changing_lane",) for frame in range(210, 250, 10)}
    write_log(tmp_path / "logs" / "tiny.db", TinyLog(tags=tags))
    (tmp_path / "mapping.yaml").write_text("scenario_map: {changing_lane: [4.0, -1.0, 0.5]}\n")
    wanted = ScenarioFilter(scenario_types=("changing_lane",))
    job = CacheJob((tmp_path / "logs",), tiny_map_root, wanted, tmp_path / "cache")
    build_cache(replace(job, mapping=load_mapping(tmp_path / "mapping.yaml")))
    checkpoint = released_checkpoint(tmp_path / "model_best.pth")
    options = (f"checkpoint={checkpoint}", "mode=both", "yardsticks=[]")
    results = [
        run(tmp_path / "cache", None, tmp_path / f"{count}", *options, f"num_worlds={count}")
        for count in (1, 3)
    ]
    assert [len(scenarios) for scenarios in results[0].values()] == [4, 4]
    assert results[1] == results[0]  # scores and all figures that they come from, to the last bit
    with pytest.raises(ValueError, match="num_worlds=0: at least one is needed"):
        run(tmp_path / "cache", None, tmp_path / "0", *options, "num_worlds=0")


def test_an_empty_filter_option_does_not_take_everything(
    cache_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InstantiationException, match="filter is empty: name a file"):
        run(cache_folder, None, tmp_path, "driver=nuplan/idm", "filter=''")


def test_what_no_scenario_can_be_driven_with_ends_the_run(
    cache_folder: Path, tmp_path: Path
) -> None:
    checkpoint = released_checkpoint(tmp_path / "model_best.pth")
    options = (f"checkpoint={checkpoint}", "mode=nonreactive", "yardsticks=[]")
    with pytest.raises(UnfitDriverError, match=r"no scenario .* use observation="):
        run(cache_folder, None, tmp_path, *options, "observation.size_px=128")
    with pytest.raises(UnfitDriverError, match="no_such_key"):
        run(cache_folder, None, tmp_path, *options, "+detector.no_such_key=1")


def test_the_maps_of_the_cache_are_found_without_map_root(
    cache_folder: Path, tmp_path: Path
) -> None:
    options = ("driver=nuplan/constant_speed", "mode=nonreactive", "yardsticks=[]")
    (scenarios,) = run(cache_folder, None, tmp_path, *options).values()
    assert [one.failure for one in scenarios] == ["", "", ""]


def test_a_cache_whose_maps_are_unknown_or_gone_asks_for_them(
    cache_folder: Path, tiny_map_root: Path, tmp_path: Path
) -> None:
    index = json.loads((cache_folder / "index.json").read_text())
    assert index["maps"] == {"root": str(tiny_map_root), "version": "nuplan-maps-v1.0"}
    path, options = tmp_path / "index.json", ("driver=nuplan/log_replay", "yardsticks=[]")
    path.write_text(json.dumps(index | {"maps": {"root": "/moved", "version": "v2"}}))
    with pytest.raises(
        FileNotFoundError, match=r"made with the maps in /moved, .* map_root=FOLDER"
    ):
        run(tmp_path, None, tmp_path / "out", *options)
    assert open_cache(tmp_path).find_maps(tiny_map_root) == MapFolder(tiny_map_root, "v2")
    del index["maps"]  # as caches were written before
    path.write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"does not say where its maps lie: give map_root=FOLDER"):
        run(tmp_path, None, tmp_path / "out", *options)
    found = open_cache(tmp_path).find_maps(tiny_map_root)
    assert found == MapFolder(tiny_map_root, "nuplan-maps-v1.0")


def test_a_second_run_drives_nothing_again_and_runs_can_be_compared(
    cache_folder: Path,
    tiny_map_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folders = (tmp_path / "replay", tmp_path / "constant")
    for folder, planner in zip(folders, ("log_replay", "constant_speed"), strict=True):
        options = (f"driver=nuplan/{planner}", "mode=nonreactive", "yardsticks=[]")
        before = run(cache_folder, tiny_map_root, folder, *options)
        with monkeypatch.context() as patch:
            patch.setattr(val14_rollout, "simulate", None)
            assert run(cache_folder, tiny_map_root, folder, *options) == before
    capsys.readouterr()
    compare.main([str(folders[0]), str(folders[1]), "--json", str(tmp_path / "changes.json")])
    assert "3 scenarios" in capsys.readouterr().out
    changes = json.loads((tmp_path / "changes.json").read_text())["changes"]["nonreactive"]
    own = [
        val14_scores(read_scenarios(f)[1][Drive(p, "nonreactive")]).score.value
        for f, p in zip(folders, ("log_replay", "constant_speed"), strict=True)
    ]
    assert changes["differences"]["score"]["change"]["value"] == pytest.approx(own[1] - own[0])


def test_options_that_cannot_be_meant_are_refused(
    cache_folder: Path, tiny_map_root: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="needs cache=FOLDER"):
        Val14(None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="choose nonreactive, reactive or both"):
        Val14(str(cache_folder), str(tiny_map_root), mode="sideways")
    with pytest.raises(ValueError, match=r"driver hero is unknown: choose one of .*nuplan/idm"):
        run(cache_folder, tiny_map_root, tmp_path, "yardsticks=[hero]", "driver=nuplan/idm")
