"""Bad input ends a command with one message: what was found, what was expected, what to do."""

from collections.abc import Callable
from pathlib import Path

import pytest
from command_result import CROSSING, TINY_RUN, TINY_WORLD, CommandResult, short_route

TRAIN, EVALUATE = "carl_planner.train", "evaluation.evaluate"
Runner = Callable[..., CommandResult]


def evaluate_file(run_command: Runner, path: Path, *overrides: str) -> CommandResult:
    return run_command(
        *(EVALUATE, "planner=constant_speed", f"routes={path}"),
        *(*TINY_WORLD, "video=false", f"output={path.parent}/results", *overrides),
    )


@pytest.mark.slow
def test_route_in_a_town_of_the_users_own_file_is_driven(
    run_command: Runner, tmp_path: Path
) -> None:
    result = evaluate_file(run_command, short_route(tmp_path))
    assert result.status == 0, result.err
    assert (tmp_path / "results" / "results.json").is_file()


def test_missing_town_file_is_named(run_command: Runner, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.xodr"
    error = run_command(TRAIN, "experiment=demo", f"simulator.towns=[{missing}]").error()
    assert f"{missing} does not exist" in error
    assert "check the path" in error


def test_unknown_town_says_where_it_was_looked_for_and_which_there_are(run_command: Runner) -> None:
    error = run_command(TRAIN, "experiment=demo", "simulator.towns=[Town99]").error()
    assert "'Town99'" in error
    assert "There are Town01, Town02" in error
    assert "pip install" in error


BAD_STARTS = [
    (TRAIN, "simulator.towns=Town03", "expected a list, as in simulator.towns=[Town03]"),
    (TRAIN, "seed=abc", "seed=abc: expected a whole number, as in seed=0"),
    (TRAIN, "ppo.num_envs=many", "ppo.num_envs=many: expected a whole number"),
    (TRAIN, "env.rollout_storag=scene", "did you mean env.rollout_storage?"),
    (TRAIN, "learning_rat=1", "no such key"),
    (TRAIN, "ppo.gama=1", "there is no such key: did you mean ppo.gamma?"),
    (TRAIN, "ppo.learning_rat=1", "there is no such key: ppo has adam_eps, "),
    (TRAIN, "reward=karl", "there is no reward=karl: did you mean carl? There are carl, "),
    (TRAIN, "resume=notes.txt", "notes.txt"),
    (EVALUATE, "checkpoint=notes.txt", "notes.txt"),
    (EVALUATE, "output=notes.txt", "notes.txt: File exists; name another file or folder"),
    (EVALUATE, "output=notes.txt/there", "notes.txt/there: Not a directory"),
    (EVALUATE, "num_worlds=many", "num_worlds=many: expected a whole number"),
]


@pytest.mark.parametrize(("module", "override", "reason"), BAD_STARTS)
def test_bad_start_ends_with_its_reason_and_leaves_nothing(
    run_command: Runner, tmp_path: Path, module: str, override: str, reason: str
) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("not a checkpoint")
    basis = ("experiment=demo",) if module == TRAIN else ("planner=constant_speed",)
    if "checkpoint" in override:
        basis = ()
    assert reason in run_command(module, *basis, override, folder=tmp_path).error()
    assert [*tmp_path.rglob("*")] == [notes]


def test_broken_town_file_is_named(run_command: Runner, tmp_path: Path) -> None:
    broken = tmp_path / "broken.xodr"
    broken.write_text(CROSSING.read_text()[:5000])
    error = run_command(TRAIN, "experiment=demo", f"simulator.towns=[{broken}]").error()
    assert str(broken) in error


def test_unreadable_route_file_is_named(run_command: Runner, tmp_path: Path) -> None:
    path = tmp_path / "routes.xml"
    path.write_text("<routes><route id='0' town=")
    assert str(path) in evaluate_file(run_command, path).error()


def test_missing_route_file_is_named(run_command: Runner, tmp_path: Path) -> None:
    error = evaluate_file(run_command, tmp_path / "absent.xml").error()
    assert "absent.xml" in error


def test_route_off_the_map_is_named(run_command: Runner, tmp_path: Path) -> None:
    error = evaluate_file(run_command, short_route(tmp_path, x_m=-900.0)).error()
    assert "-900" in error


def test_route_in_an_unknown_town_names_the_town(run_command: Runner, tmp_path: Path) -> None:
    error = evaluate_file(run_command, short_route(tmp_path, town="Town99")).error()
    assert "Town99" in error


def test_more_vehicles_than_slots_are_refused(run_command: Runner) -> None:
    error = run_command(TRAIN, *TINY_RUN, "simulator.traffic.num_vehicles=5").error()
    assert "5 vehicles" in error
    assert "max_vehicles" in error


def test_route_longer_than_the_slots_is_refused(run_command: Runner) -> None:
    error = run_command(TRAIN, *TINY_RUN, "simulator.max_route_points=40").error()
    assert "max_route_points" in error


def test_misspelt_key_names_itself(run_command: Runner) -> None:
    error = run_command(TRAIN, "experiment=demo", "ppo.learning_rate=1").error()
    assert "Could not override 'ppo.learning_rate'" in error


def test_misspelt_group_lists_the_choices(run_command: Runner) -> None:
    result = run_command(TRAIN, "experiment=demo", "reward=karl")
    assert result.status == 1
    assert "there is no reward=karl: did you mean carl?" in result.err
    assert "carl_oncoming_terminal" in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    "override", ["+reward.terminal_penality=2.0", "+observation.colour=blue", "+ppo.learn_rate=1.0"]
)
def test_keyword_that_a_component_lacks_names_both(run_command: Runner, override: str) -> None:
    error = run_command(TRAIN, *TINY_RUN, override).error()
    assert override.split(".")[1].split("=")[0] in error


def test_missing_checkpoint_is_named(run_command: Runner) -> None:
    assert "gone.pt" in run_command(TRAIN, "resume=gone.pt").error()
    assert "gone.pt" in run_command(EVALUATE, "checkpoint=gone.pt").error()


def test_planner_without_checkpoint_is_told_what_it_needs(run_command: Runner) -> None:
    assert "checkpoint=PATH" in run_command(EVALUATE).error()


def test_nan_in_a_loss_ends_with_one_message(run_command: Runner, tmp_path: Path) -> None:
    toy_configs = str(Path(__file__).parents[1] / "carl_planner" / "toy_configs")
    error = run_command(
        *(TRAIN, "--config-dir", toy_configs, "experiment=point_goal", "env.nan_at_step=20"),
        f"hydra.run.dir={tmp_path}",
    ).error()
    assert "not finite" in error
    assert (tmp_path / "nan_batch.pt").is_file()


def test_run_folder_that_cannot_be_written_is_named(run_command: Runner, tmp_path: Path) -> None:
    toy_configs = str(Path(__file__).parents[1] / "carl_planner" / "toy_configs")
    (tmp_path / "latest.pt").mkdir()  # stands in the checkpoint's place: it cannot be replaced
    error = run_command(
        *(TRAIN, "--config-dir", toy_configs, "experiment=point_goal", "ppo.total_samples=512"),
        f"hydra.run.dir={tmp_path}",
    ).error()
    assert "latest.pt" in error
