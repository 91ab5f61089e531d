"""Train a planner: `python -m carl_planner.train experiment=demo [overrides]`.

`resume=PATH` goes on from a checkpoint and needs nothing else, but `trust=[PACKAGE]` for classes of
your own; overrides given with it apply on top of the checkpoint's config. `init_from=PATH` begins a
new run with a checkpoint's weights alone. Runs under torchrun too.
"""

from __future__ import annotations

import logging
from contextlib import nullcontext
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from carl_planner.checkpoint import CheckpointError, load_checkpoint
from carl_planner.command_errors import hydra_command
from carl_planner.distributed import (
    ProcessGroup,
    end_rank,
    join_process_group,
    leave_process_group,
)
from carl_planner.learner import Learner
from carl_planner.metrics import tracker_module
from carl_planner.policy_files import checkpoint_config
from carl_planner.run_folder import (
    checkpoint_path,
    locked_folder,
    node_of,
    override_key,
    refuse_trained_folder,
    resumed_choices,
    resumed_config,
)
from carl_planner.training_run import FINAL, LATEST, RunProgress, TrainingRun
from carl_planner.trusted_config import check_resumable, foreign_packages

log = logging.getLogger(__name__)


def train(config: DictConfig, group: ProcessGroup) -> bool:
    """Run the composed config; True when complete, False when stopped before its end."""
    hydra_config = HydraConfig.get()
    choices = {
        name: str(choice)
        for name, choice in hydra_config.runtime.choices.items()
        if not name.startswith("hydra/")
    }
    folder = Path(hydra_config.runtime.output_dir)
    resumed = None
    if config.resume is None:
        refuse_trained_folder(folder)
    else:
        path = checkpoint_path(config.resume)
        resumed = load_checkpoint(path)
        if not resumed.is_resumable:
            raise CheckpointError(f"{path} holds a policy only: resume from {LATEST}")
        overrides = list(hydra_config.overrides.task)
        given = [node_of(override_key(override)) for override in overrides]
        check_resumable(checkpoint_config(resumed, path), config.trust, given)
        config = resumed_config(config, resumed, choices, overrides)
        choices = resumed_choices(resumed, choices, overrides)
        log.info("resuming from %s at %s samples", path, f"{resumed.progress['samples']:,}")
    tracker_module(config.get("tracker"))  # a missing one is reported before kernels are compiled
    learner = Learner(config, choices, group)
    progress = RunProgress()
    if resumed is None:
        if config.init_from is not None:
            learner.init_from(load_checkpoint(checkpoint_path(config.init_from)))
            log.info("beginning with the weights of %s", config.init_from)
        if config.get("init_sharpness", 1.0) != 1.0:
            learner.policy.sharpen(config.init_sharpness)
        learner.start()
    else:
        learner.restore(resumed)
        progress = RunProgress(**resumed.progress)
    try:
        with locked_folder(folder) if group.is_main else nullcontext():
            complete = TrainingRun(learner, folder, progress).run()
    finally:
        learner.env.close()
    if group.is_main:
        packages = foreign_packages(config)
        trust = f" trust=[{','.join(packages)}]" if packages else ""
        if complete:
            log.info("%s samples; the policy is %s", f"{progress.samples:,}", folder / FINAL)
        else:
            again = f"python -m carl_planner.train resume={folder / LATEST}{trust}"
            log.info("stopped; go on with: %s", again)
    return complete


def _is_one_of_many_here() -> bool:
    """Whether this run is part of a sweep whose runs follow each other in this process."""
    config = HydraConfig.get()
    launcher = str(config.launcher.get("_target_", ""))
    return config.mode == RunMode.MULTIRUN and launcher.endswith(".BasicLauncher")


def main() -> None:
    """Console script `carl-train`."""
    group = join_process_group()

    @hydra_command("train")
    def command(config: DictConfig) -> None:
        if not group.is_main:
            logging.disable(logging.WARNING)  # rank 0 speaks for all
        complete = train(config, group)
        if not complete and _is_one_of_many_here():
            log.info("the sweep ends here; its other runs were not started")
            raise SystemExit(0)  # an ordinary return would start the next run

    try:
        command()
    finally:
        leave_process_group()
    if group.world_size > 1:
        end_rank()


if __name__ == "__main__":
    main()
