"""Parts of a checkpoint's config, made safe to instantiate: a stranger could name any function."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from carl_planner.checkpoint import CheckpointError

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
