"""Judge a training by driving: `python -m evaluation.judge run=outputs/driver/DATE`.

A training's own curves are drawn by chance, over routes that change, under the training's reward.
This command drives the newest policy every half hour as an evaluation does, counts what happens at
each kind of script, and keeps the best policy by driving score. See configs/judge.yaml.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hydra.utils import instantiate
from matplotlib.figure import Figure
from omegaconf import DictConfig
from torch.utils.tensorboard.writer import SummaryWriter

from carl_planner.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from carl_planner.command_errors import hydra_command
from carl_planner.publish import weights_alone
from carl_planner.training_run import FINAL, LATEST
from evaluation.calibration.drives import CalibrationDrive, TriggerRecorder
from evaluation.evaluate import drive_routes
from evaluation.report.page import ACCENT, GRID, INK, PageSection, ScorePage, new_figure, png_of
from evaluation.rollout.benchmark import Benchmark
from evaluation.scoring.score_table import ScoreTable
from evaluation.scoring.scores import benchmark_scores
from sim_adapters.gymnasium_envs import compose_config

log = logging.getLogger("evaluation.judge")
JUDGED_FILE, JUDGED_PAGE = "judged.jsonl", "judged.html"
NEWEST, BEST = "newest.pt", "best.pt"
SCORE, ENDS = "score/driving_score", ("", "_low", "_high")
POLL_S = 5.0


@dataclass(frozen=True)
class Judgement:
    """What one policy of a training did."""

    samples: int  # of the training, when it was as it drove
    values: dict[str, float]  # by TensorBoard tag

    def as_line(self) -> str:
        """Of JSON."""
        return json.dumps({"samples": self.samples, **self.values})


def judge(config: DictConfig) -> list[Judgement]:
    """Judge until the training's final policy has been; all judgements, earlier ones too.

    Raises:
        ValueError: options that cannot be meant.
        CheckpointError: the run's checkpoint cannot be read.
    """
    run, folder = Path(config.run), Path(config.output)
    if not run.is_dir():
        raise ValueError(
            f"run={run} is no folder: name a training run's, such as outputs/driver/DATE"
        )
    if config.every_min < 0:
        raise ValueError(f"every_min={config.every_min}: expected minutes, or 0 for once")
    os.nice(max(0, config.nice - os.nice(0)))
    judgements = read_judgements(folder / JUDGED_FILE)
    with SummaryWriter(str(folder)) as board:
        for checkpoint in policies_to_judge(run, config.every_min, judgements):
            save_checkpoint(folder / NEWEST, weights_alone(checkpoint))
            judgement = judge_policy(config, folder / NEWEST, samples_of(checkpoint))
            judgements.append(judgement)
            with (folder / JUDGED_FILE).open("a") as file:
                file.write(judgement.as_line() + "\n")
            for tag, value in judgement.values.items():
                board.add_scalar(f"judged/{tag}", value, judgement.samples)
            if judgement.values[SCORE] >= max(one.values[SCORE] for one in judgements):
                (folder / NEWEST).replace(folder / BEST)
            log.info("%s", in_words(judgement))
            page = write_judged_page(folder, judgements)
            log.info("page: %s, best policy: %s", page, folder / BEST)
    return judgements


def policies_to_judge(
    run: Path, every_min: float, judged: Sequence[Judgement]
) -> Iterator[Checkpoint]:
    """The run's newest policy, again and again until its final one; none twice."""
    newest_judged = max((one.samples for one in judged), default=-1)
    while True:
        began = time.monotonic()
        is_over = (run / FINAL).is_file()
        path = run / (FINAL if is_over else LATEST)
        if not path.is_file() and not every_min:
            raise ValueError(f"{run} holds neither {FINAL} nor {LATEST} yet: nothing to judge")
        if path.is_file():
            checkpoint = load_checkpoint(path)
            if samples_of(checkpoint) > newest_judged:
                newest_judged = samples_of(checkpoint)
                yield checkpoint
        if is_over or not every_min:
            return
        while time.monotonic() - began < 60.0 * every_min and not (run / FINAL).is_file():
            time.sleep(POLL_S)


def samples_of(checkpoint: Checkpoint) -> int:
    """How long the training had gone on."""
    return int(checkpoint.progress.get("samples", 0))


def judge_policy(config: DictConfig, policy: Path, samples: int) -> Judgement:
    """Drive the policy along all routes."""
    name = "longest6" if config.routes else "embedded36"
    words = [f"checkpoint={policy}", "driver=policy", f"benchmark={name}"]
    words += [f"routes={config.routes}"] if config.routes else []
    composed = compose_config("evaluate", [*words, "record_episodes=false", *config.overrides])
    benchmark: Benchmark = instantiate(composed.benchmark)
    recorder = TriggerRecorder()
    specs = benchmark.read(None)
    drive_routes(composed, specs, range(config.seeds), lambda worlds: recorder)
    return Judgement(samples, figures(recorder.drives))


def figures(drives: Sequence[CalibrationDrive]) -> dict[str, float]:
    """Scores with their interval, infractions by kilometre, and shares hit by kind of script.

    Args:
        drives: Of one policy, one or more.
    """
    results = [drive.result for drive in drives]
    scores = benchmark_scores(results)
    found = {
        SCORE: scores.driving_score.value,
        f"{SCORE}_low": scores.driving_score.low,
        f"{SCORE}_high": scores.driving_score.high,
        "score/route_completion": scores.route_completion.value,
        "score/speed_mps": float(np.mean([result.mean_speed_mps for result in results])),
    }
    for kind, interval in scores.per_km.items():
        found[f"per_km/{kind}"] = interval.value
    reached = [
        one
        for drive in drives
        for one in drive.triggers
        if one.brings_somebody and one.reached_s is not None
    ]
    for kind in sorted({one.scenario_type for one in reached}):
        hits = [one.is_hit for one in reached if one.scenario_type == kind]
        found[f"hit/{kind}"] = float(np.mean(hits))
        found[f"reached/{kind}"] = float(len(hits))
    return found


def in_words(judgement: Judgement) -> str:
    """One line for the log."""
    values = judgement.values
    hits = ", ".join(
        f"{tag.partition('/')[2]} {100 * value:.0f} %"
        for tag, value in values.items()
        if tag.startswith("hit/")
    )
    return (
        f"{judgement.samples:,} samples: driving score {values[SCORE]:.1f} "
        f"[{values[f'{SCORE}_low']:.1f}, {values[f'{SCORE}_high']:.1f}] in the embedded world, "
        f"completion {values['score/route_completion']:.1f} %; hit: {hits}"
    )


def read_judgements(file: Path) -> list[Judgement]:
    """Of an earlier process on the same run."""
    if not file.is_file():
        return []
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return [Judgement(int(line.pop("samples")), line) for line in lines]


# The page of a training's judgements: the score over its samples, and hits by kind of script

GROUPS = {  # title, figures, factor, digits
    "Scores": ("score/", 1.0, 1),
    "Driver hit, of the scripts reached [%]": ("hit/", 100.0, 0),
    "Infractions / km": ("per_km/", 1.0, 2),
}


def write_judged_page(folder: Path, judgements: Sequence[Judgement]) -> Path:
    """Write the page of these judgements, oldest first, into `folder`; its path."""
    tags = list(dict.fromkeys(tag for one in judgements for tag in one.values))
    heads = ["samples", *(f"{one.samples / 1e6:.1f} M" for one in judgements)]
    shown = "driving score and hits over the training's samples"
    sections = [PageSection("", picture=png_of(judged_curves(judgements)), picture_text=shown)]
    for title, (group, factor, digits) in GROUPS.items():
        rows = []
        for tag in (tag for tag in tags if tag.startswith(group)):
            values = [one.values.get(tag) for one in judgements]
            texts = ["-" if value is None else f"{value * factor:.{digits}f}" for value in values]
            rows.append([tag.removeprefix(group).replace("_", " "), *texts])
        sections.append(PageSection(title, ScoreTable(title, heads, rows)))
    best = max(judgements, key=lambda one: one.values[SCORE])
    lead = (
        "Scores of the embedded world, not CARLA results. Best policy by driving score: "
        f"{best.samples / 1e6:.1f} M samples."
    )
    title = f"{folder.absolute().parent.name}: judged by driving"
    return ScorePage(title, lead, sections).write(folder / JUDGED_PAGE)


def judged_curves(judgements: Sequence[Judgement]) -> Figure:
    """Driving score with its interval above, hits by kind of script below."""
    figure = new_figure(10, 6.4, dpi=110)
    above, below = figure.subplots(2, 1, sharex=True)
    x = [one.samples / 1e6 for one in judgements]
    score, low, high = ([one.values[SCORE + end] for one in judgements] for end in ENDS)
    above.fill_between(x, low, high, color=ACCENT, alpha=0.2, linewidth=0)
    above.plot(x, score, "o-", color=ACCENT, linewidth=2)
    above.set_title("driving score in the embedded world, 95 % interval over routes", loc="left")
    above.set_ylim(0, 100)
    kinds = dict.fromkeys(tag for one in judgements for tag in one.values if tag[:4] == "hit/")
    for tag, marker in zip(kinds, "osD^v<>*", strict=False):
        hits = [(one.samples / 1e6, one.values[tag]) for one in judgements if tag in one.values]
        samples, shares = zip(*hits, strict=True)
        below.plot(samples, np.multiply(100, shares), f"{marker}-", label=tag.partition("/")[2])
    below.set_title("driver hit, of the scripts reached [%]", loc="left")
    below.set_xlabel("samples [million]")
    below.legend(fontsize=8, frameon=False)
    for axis in (above, below):
        axis.grid(color=GRID)
        axis.tick_params(colors=INK)
        axis.spines[["top", "right"]].set_visible(False)
    return figure


@hydra_command("judge")
def main(config: DictConfig) -> None:
    """Command line."""
    judge(config)


if __name__ == "__main__":
    main()
