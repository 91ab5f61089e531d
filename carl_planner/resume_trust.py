"""Which checkpoints may be resumed: resuming builds all that a checkpoint's config names.

A policy alone is checked by `trusted_config`. A whole run also has an environment, whose parts may
start programs, so that its config is held against the configs of this project.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from carl_planner.checkpoint_error import CheckpointError
from carl_planner.trusted_config import check_target

# Config groups of a training; their YAMLs name what a run may be built from.
TRAINING_GROUPS = (
    *("env", "simulator", "scenarios", "reward", "detector", "observation", "policy", "ppo"),
    "experiment",
)
# Keywords that say which program is started or which files are written.
PROGRAM_KEYS = ("command", "carla_root", "client_python", "log_folder")
_TARGET = re.compile(r"""_target_:\s*["']?([\w.]+)""")
# The one resolver in our configs: it only looks up another node.
_SELECT = re.compile(r"\$\{oc\.select:[\w.]+(,\s*\w+)?\}")


def check_resumable(
    config: DictConfig, trust: Sequence[str] = (), given: Collection[str] = ()
) -> None:
    """Refuse a checkpoint's config that would build or start what nobody vouches for.

    Args:
        config: Of the checkpoint, whole and as it was read.
        trust: Packages and modules beside this project's that it may call.
        given: Keys that the command line sets anew; what stands there is not looked at.

    Raises:
        CheckpointError: it calls what isn't trusted, names a program, or calls a resolver.
    """
    trusted = (*own_targets(), *trust)
    for key, name, value in _entries(OmegaConf.to_container(config, resolve=False)):
        path = f"{key}.{name}" if key else str(name)
        if any(path == other or path.startswith(f"{other}.") for other in given):
            continue
        if isinstance(value, str) and not _is_plain(value):
            raise CheckpointError(
                f"the checkpoint's {path} is {value!r}: a checkpoint may refer to nodes of its own "
                f"config, but not call resolvers: say {path}=... on the command line instead"
            )
        if name == "_target_":
            if not isinstance(value, str) or "$" in value:
                raise CheckpointError(f"the checkpoint's {path} is {value!r}, expected a name")
            check_target(value, trusted)
        elif name == "_args_":
            raise CheckpointError(f"the checkpoint's {path} passes arguments without their names")
        elif name in PROGRAM_KEYS and value is not None:
            raise CheckpointError(
                f"the checkpoint's {path} is {value!r}, which starts a program or writes files "
                f"there: say {path}=... on the command line, too, if that is what you want"
            )


@cache
def own_targets() -> tuple[str, ...]:
    """What this project's own configs of a training call."""
    found: set[str] = set()
    for group in TRAINING_GROUPS:
        for file in Path(str(files("configs"))).joinpath(group).rglob("*.yaml"):
            found.update(_TARGET.findall(file.read_text()))
    return tuple(sorted(found))


def foreign_packages(config: DictConfig) -> list[str]:
    """Packages outside this project that a config calls: what a resumption has to trust."""
    targets = [
        value
        for _, name, value in _entries(OmegaConf.to_container(config, resolve=False))
        if name == "_target_" and isinstance(value, str)
    ]
    return sorted({t.partition(".")[0] for t in targets if t not in own_targets()})


def _entries(node: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every (key of the mapping or list, name in it, value) of a tree."""
    pairs = node.items() if isinstance(node, Mapping) else enumerate(node)
    for name, value in pairs:
        yield key, name, value
        if isinstance(value, Mapping | list):
            yield from _entries(value, f"{key}.{name}" if key else str(name))


def _is_plain(text: str) -> bool:
    """Whether resolving the string can do no more than look up other nodes."""
    if "\\${" in text:  # an escaped one wakes up
        return False
    return ":" not in text.partition("${")[2] or _SELECT.fullmatch(text) is not None
