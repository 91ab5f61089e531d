"""Where a run writes, alone, and how a resumed one finds its config.

All ranks of a run share one folder: rank 0 names it. A resumed run goes on in the folder of its
checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import torch.distributed as dist
from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf, open_dict

from carl_planner.checkpoint import Checkpoint, CheckpointError

# Options that belong to the command, not to the run.
COMMAND_KEYS = ("resume", "trust")


def choose_run_stamp() -> str:
    """The time that names a new run's folder, rank 0's on all ranks."""
    stamp = [datetime.now().strftime("%Y-%m-%d_%H-%M-%S")]
    if dist.is_initialized():
        dist.broadcast_object_list(stamp, src=0)
    return stamp[0]


def register_resolvers() -> None:
    """Make `run_stamp`, `run_folder` and `hydra_folder` known to configs.

    The stamp is chosen once a config and travels with it to the jobs of a launcher.
    """
    OmegaConf.register_new_resolver("run_stamp", choose_run_stamp, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("run_folder", _run_folder, replace=True)
    OmegaConf.register_new_resolver("hydra_folder", _hydra_folder, replace=True)


def checkpoint_path(resume: str) -> Path:
    """The checkpoint file that `resume` or `init_from` means: a file, or a run's folder.

    Of a folder the newest state, else the final policy: an imitation writes only that.
    """
    path = Path(resume)
    if not path.is_dir():
        return path
    latest, final = path / "latest.pt", path / "model_final.pt"
    return latest if latest.is_file() or not final.is_file() else final


def resumed_config(
    composed: DictConfig, resumed: Checkpoint, choices: dict[str, str], overrides: list[str]
) -> DictConfig:
    """Config of the checkpoint with the command's overrides on top.

    Args:
        composed: What hydra composed from defaults and overrides.
        resumed: Holds the config of the run so far.
        choices: Chosen option of each group in `composed`.
        overrides: As given on the command line.
    """
    config = OmegaConf.create(resumed.config)
    assert isinstance(config, DictConfig)
    for override in overrides:
        key = override_key(override)
        if key in COMMAND_KEYS:
            continue
        if key == "experiment":
            if choices.get(key) != resumed.choices.get(key):
                raise CheckpointError(
                    f"the checkpoint is of experiment={resumed.choices.get(key)}, resuming with "
                    f"experiment={choices.get(key)} would mix two runs: leave experiment out"
                )
            continue
        node_key = node_of(key)
        with open_dict(config):
            if OmegaConf.select(composed, node_key) is None and override.startswith("~"):
                OmegaConf.update(config, node_key, None)
            else:
                # A group chosen anew replaces the old one, whose keywords it may not know.
                chosen = OmegaConf.select(composed, node_key)
                OmegaConf.update(config, node_key, chosen, merge=False)
    return config


def resumed_choices(
    resumed: Checkpoint, choices: dict[str, str], overrides: list[str]
) -> dict[str, str]:
    """Chosen option of each group: the checkpoint's but where the command chooses anew.

    Args:
        resumed: Holds the choices of the run so far.
        choices: Of the command, defaults and all.
        overrides: As given on the command line.
    """
    chosen = {key: choices[key] for key in map(override_key, overrides) if key in choices}
    return resumed.choices | chosen


def override_key(override: str) -> str:
    """What a word of the command line sets: a config group or a dotted key."""
    return override.split("=", 1)[0].lstrip("+~")


def node_of(key: str) -> str:
    """Where in the config a group or key stands."""
    return key.split("@")[-1].replace("/", ".")


def _run_folder(root: str, name: str | None, stamp: str, resume: str | None) -> str:
    if resume:
        return str(checkpoint_path(resume).parent)
    return f"{root}/{name or 'train'}/{stamp}"


def _hydra_folder(stamp: str, resume: str | None) -> str:
    # What hydra composes for a resumed run is not its config: keep the first run's record.
    return f".hydra_resumed_{stamp}" if resume else ".hydra"


def refuse_trained_folder(folder: Path) -> None:
    """Refuse to begin a run where one has left its state: it would be written over.

    Raises:
        ValueError: the folder holds a run.
    """
    found = checkpoint_path(str(folder))
    if found.is_file():
        raise ValueError(
            f"{folder} holds a training already ({found.name}): go on with it by resume={folder} "
            "(max_minutes=... or ppo.total_samples=... trains longer), choose another "
            "hydra.run.dir=DIR, or delete it"
        )


LOCK_FILE = "lock"


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Make and hold a folder; the system lets go of it when this process ends, however that is.

    The lock's file stays, unless what failed inside has left nothing else.

    Raises:
        ValueError: another run holds it; both would write the same files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK_FILE, blocking=False)
    try:
        held = lock.acquire()
    except Timeout as error:
        raise ValueError(
            f"another run writes into {folder}: wait for it, or choose another folder"
        ) from error
    with held:
        try:
            yield
        except BaseException:
            if all(path.name == LOCK_FILE or path.suffix == ".log" for path in folder.iterdir()):
                (folder / LOCK_FILE).unlink()
            raise


# Here, because a launcher's job imports this module but does not go through `main`.
register_resolvers()
