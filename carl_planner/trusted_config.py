"""A checkpoint's config, made safe to instantiate: a stranger could name any function.

`trusted_node` checks one part, such as the policy. Resuming builds all that the config names, and a
whole run also has an environment, whose parts may start programs: `check_resumable` holds it
against the configs of this project.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from carl_planner.state_dicts import CheckpointError

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
# Stands for the call of a resolver, which would run before anything could be checked.
_REFUSED = "refused resolver: "


def trusted_node(config: DictConfig, key: str, trusted: Sequence[str]) -> DictConfig | None:
    """The part of a checkpoint's config at `key`, resolved and checked, for hydra to instantiate.

    Interpolations of the config's own nodes are followed; resolvers, such as `${oc.env:HOME}`, are
    not called.

    Args:
        config: Of the checkpoint, whole and as it was read.
        key: With dots; the result is None where nothing stands there.
        trusted: Packages and modules whose own classes and functions the part may call.

    Raises:
        CheckpointError: the part would call something else, or cannot be resolved.
    """
    tree = OmegaConf.create(_without_resolvers(OmegaConf.to_container(config, resolve=False)))
    try:
        node = OmegaConf.select(tree, key)
        if node is None:
            return None
        if not isinstance(node, DictConfig):
            raise CheckpointError(f"the checkpoint's {key} is {node!r}, expected a mapping")
        resolved = OmegaConf.to_container(node, resolve=True)
    except (OmegaConfBaseException, RecursionError) as error:
        raise CheckpointError(f"the checkpoint's {key} cannot be resolved: {error}") from error
    _check(resolved, key, trusted)
    return DictConfig(resolved)


def _without_resolvers(node: Any) -> Any:
    """A copy in which no string calls a resolver, directly or through nested interpolations."""
    if isinstance(node, Mapping):
        return {key: _without_resolvers(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_without_resolvers(value) for value in node]
    if isinstance(node, str) and ":" in node.partition("${")[2]:  # nodes have no colon
        return _REFUSED + node.replace("${", "{")
    return node


def _check(node: Any, key: str, trusted: Sequence[str]) -> None:
    """Refuse what would be called or resolved when the resolved `node` is instantiated."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            _check(value, f"{key}.{name}", trusted)
        if "_target_" in node:
            check_target(node["_target_"], trusted)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            _check(value, f"{key}[{index}]", trusted)
    elif isinstance(node, str) and (_REFUSED in node or "${" in node):  # an escaped one wakes up
        raise CheckpointError(
            f"the checkpoint's {key} is {node.removeprefix(_REFUSED)!r}: a checkpoint may refer to "
            "nodes of its own config, but not call resolvers"
        )


def check_target(target: Any, trusted: Sequence[str]) -> None:
    """Refuse a `_target_` that isn't trusted itself, nor defined in a trusted module."""
    if target in trusted:
        return
    home = next((name for name in trusted if str(target).startswith(f"{name}.")), None)
    if home is None:  # Nothing is imported before this check
        raise CheckpointError(
            f"the checkpoint was made with {target}, which is in none of the trusted packages "
            f"{', '.join(trusted)}: add trust=[{str(target).partition('.')[0]}] if you know that "
            "code"
        )
    found: Any = _import(home, target)
    for name in target.removeprefix(f"{home}.").split("."):
        if inspect.ismodule(found) and not hasattr(found, name):
            found = _import(f"{found.__name__}.{name}", target)
        else:
            found = getattr(found, name, None)
        origin = _defining_module(found)
        if not any(origin == name or origin.startswith(f"{name}.") for name in trusted):
            break  # `carl_planner.checkpoint.Path` is pathlib's
    else:
        if not inspect.ismodule(found):
            return
    raise CheckpointError(
        f"the checkpoint was made with {target}, which is no class or function of the trusted "
        f"packages {', '.join(trusted)} themselves"
    )


def _defining_module(found: Any) -> str:
    """Name of a module, or of that in which a class or function was defined; else empty."""
    if inspect.ismodule(found):
        return found.__name__
    is_callable = inspect.isclass(found) or inspect.isfunction(found) or inspect.ismethod(found)
    return found.__module__ if is_callable else ""


def _import(module: str, target: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise CheckpointError(
            f"the checkpoint was made with {target}, but {module} cannot be imported: {error}"
        ) from error


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
