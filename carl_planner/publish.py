"""Pack a training run so that others can drive its policy: `python -m carl_planner.publish`.

A folder with NAME.pt (weights and config, nothing to resume from), NAME.md (the card), the run's
config, and its learning curves as CSV and picture. `checkpoint=FOLDER/NAME.pt` drives it anywhere;
the files in `carl_planner/pretrained/` are made by this command.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from carl_planner.checkpoint import Checkpoint, CheckpointError, load_checkpoint, save_checkpoint
from carl_planner.command_errors import hydra_command
from carl_planner.metrics import read_metrics, write_curves
from carl_planner.training_run import FINAL, LATEST

log = logging.getLogger(__name__)
# Folders of the machine that it was trained on, which say nothing to anybody else
MACHINE_KEYS = {"resume": None, "init_from": None, "output_root": "outputs"}
NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def publish(
    run: Path,
    name: str,
    output: Path,
    *,
    checkpoint: str | None = None,
    description: str | None = None,
    tables: Sequence[Path] = (),
) -> list[Path]:
    """Write the published form of a run.

    Args:
        run: Folder of a training run, finished or not.
        name: Of the policy.
        output: Folder to write to; files of the same names are replaced.
        checkpoint: File in `run`; the final model, else the newest state, if not given.
        description: A paragraph for the card.
        tables: Markdown files that the card takes over as they are.

    Returns:
        The files written.

    Raises:
        CheckpointError: no checkpoint there, or a name that is no file name.
        OSError: a table cannot be read, or the folder not be written.
    """
    if not NAME_PATTERN.fullmatch(name):
        raise CheckpointError(f"name is {name!r}, expected letters, digits, _ and - only")
    texts = [table.read_text().strip() for table in tables]
    source = checkpoint_of(run, checkpoint)
    trained = load_checkpoint(source)
    published = weights_alone(trained)
    output.mkdir(parents=True, exist_ok=True)
    weights, card = output / f"{name}.pt", output / f"{name}.md"
    save_checkpoint(weights, published)
    metrics = read_metrics(run)
    config = output / f"{name}.config.yaml"
    OmegaConf.save(OmegaConf.create(published.config), config)
    written = [weights, card, config]
    if metrics:
        written += write_curves(metrics, output / f"{name}.curves")
    card.write_text(model_card(name, trained, metrics, description, texts))
    return written


def weights_alone(trained: Checkpoint) -> Checkpoint:
    """A checkpoint that drives and can begin a run, and holds nothing to resume one."""
    return Checkpoint(
        policy={name: tensor.detach().clone() for name, tensor in trained.policy.items()},
        config=trained.config | MACHINE_KEYS,
        choices=trained.choices,
        observation_spec=trained.observation_spec,
        action_spec=trained.action_spec,
    )


def model_card(
    name: str,
    trained: Checkpoint,
    metrics: Sequence[dict[str, float]],
    description: str | None,
    tables: Sequence[str],
) -> str:
    """The card: what was trained how and how far, then what was measured.

    Args:
        name: Of the policy.
        trained: The checkpoint that is published.
        metrics: Lines of the run's log; may be empty.
        description: A paragraph, if there is one.
        tables: Of results, in markdown.
    """
    progress: dict[str, Any] = trained.progress
    samples = int(progress.get("samples") or (metrics[-1]["samples"] if metrics else 0))
    total = int(trained.config.get("ppo", {}).get("total_samples") or 0)
    facts = {
        "samples (decisions)": f"{samples:,}" + (f" of {total:,}" if samples < total else ""),
        "wall clock": f"{progress.get('elapsed_s', 0.0) / 3600.0:.1f} h",
        "parameters": f"{sum(tensor.numel() for tensor in trained.policy.values()):,}",
        "seed": trained.config.get("seed"),
        **{group: trained.choices[group] for group in sorted(trained.choices)},
    }
    rows = "\n".join(f"| {key} | {value} |" for key, value in facts.items() if value is not None)
    parts = [
        f"# {name}",
        description or "",
        f"    python -m evaluation.evaluate checkpoint=PATH/{name}.pt benchmark=demo",
        f"| | |\n|---|---|\n{rows}",
        "Scores from the embedded world are embedded scores, those from the headless server "
        "headless ones: neither is a CARLA, longest6 or nuPlan result.",
        *tables,
        f"The whole configuration is in `{name}.config.yaml`"
        + (f", the learning curves in `{name}.curves.csv` and `.png`." if metrics else "."),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def checkpoint_of(run: Path, chosen: str | None = None) -> Path:
    """The file of that name in a run's folder; the final model, else the newest state, if None."""
    names = [chosen] if chosen else [FINAL, LATEST]
    for name in names:
        if (run / name).is_file():
            return run / name
    raise CheckpointError(f"{run} holds no {' or '.join(names)}: expected the folder of a run")


@hydra_command("publish")
def main(config: DictConfig) -> None:
    """Entry point; see configs/publish.yaml."""
    written = publish(
        Path(config.run),
        config.name,
        Path(config.output or f"outputs/published/{config.name}"),
        checkpoint=config.checkpoint,
        description=config.description,
        tables=[Path(table) for table in config.tables],
    )
    for file in written:
        log.info("%s, %s bytes", file, f"{file.stat().st_size:,}")


if __name__ == "__main__":
    main()
