"""docs/path.md, command by command, with small worlds and short runs."""

from collections.abc import Callable
from pathlib import Path

from command_result import TINY_RUN, TINY_WORLD, CommandResult, short_route
from omegaconf import OmegaConf
from page import page_commands

Runner = Callable[..., CommandResult]
ENDS_SOON = ("detector.motion.blocked_s=1", "detector.motion.blocked_speed_mps=99")


def test_path_leads_from_training_to_both_drives_on_one_page(
    run_command: Runner, tmp_path: Path
) -> None:
    words = page_commands("path.md")
    modules = [line[2] for line in words]
    train, evaluate = "carl_planner.train", "evaluation.evaluate"
    assert modules == [
        *("evaluation.look", train, train, train),  # look: tests/evaluation/test_look.py
        *(evaluate, evaluate, "evaluation.compare", "evaluation.view"),
    ]
    small = {
        train: [word for word in TINY_RUN if not word.startswith("experiment=")],
        evaluate: [*TINY_WORLD, f"routes={short_route(tmp_path)}", *ENDS_SOON],
    }
    for line in words[1:]:
        result = run_command(line[2], *line[3:], *small.get(line[2], []), folder=tmp_path)
        assert result.status == 0, result.out + result.err
    outputs = tmp_path / "outputs" / "path"
    rewards = [
        OmegaConf.load(outputs / name / "config.yaml").reward for name in ("carl", "no_lights")
    ]
    assert "ran_red_light" in rewards[0].terminations
    assert "ran_red_light" not in rewards[1].terminations
    assert (outputs / "both.html").is_file()
