"""How a command ends when what it was given is to blame: one clear message, no stack trace.

Errors that no input explains travel on as they are.
"""

from __future__ import annotations

import difflib
import functools
import logging
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra import compose, initialize_config_module
from hydra.conf import HydraConf
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, InstantiationException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from carl_planner.checkpoint import CheckpointError
from carl_planner.ppo import NonFiniteLossError

log = logging.getLogger(__name__)

# What this project raises for bad files, values and options, for a full disk and for NaN.
INPUT_ERRORS = (CheckpointError, NonFiniteLossError, OSError, ValueError)
_REMEDIES = {  # for packages that are not installed with this project
    "nuplan": "put a checkout of nuplan-devkit on PYTHONPATH and pip install -e '.[nuplan]' "
    "(docs/nuplan.md)",
    "stable_baselines3": "pip install stable-baselines3",
    "carla": "pip install carla==0.9.16",
    "wandb": "pip install wandb, or train with tracker=null",
    "trackio": "pip install trackio, or train with tracker=null",
    "onnx": "pip install -e '.[onnx]'",
    "hydra_plugins": "pip install -e '.[slurm]'",
}
_LEAST_WAIT_S = 20.0  # torchrun ends the other ranks sooner once one has ended


def hydra_command(config_name: str) -> Callable[[Callable[[DictConfig], None]], Callable[[], None]]:
    """Make a function of a config from `configs` a command that reports its input's errors.

    Some show before the function begins: a key that does not exist, a folder that cannot be
    written.
    """

    def decorate(task: Callable[[DictConfig], None]) -> Callable[[], None]:
        @functools.wraps(task)
        def reported(config: DictConfig) -> None:
            with input_errors_reported():  # here hydra knows the folder of the run
                task(config)

        main = hydra.main(config_path="pkg://configs", config_name=config_name, version_base="1.3")
        compose_and_run = main(reported)

        @functools.wraps(task)
        def command() -> None:
            os.environ["HYDRA_FULL_ERROR"] = "1"  # hydra hands errors on instead of printing them
            with input_errors_reported(config_name):
                compose_and_run()

        return command

    return decorate


@contextmanager
def stop_reported() -> Iterator[None]:
    """End with one line at Ctrl-C and SIGTERM, in a command that goes on where it was stopped."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C: nothing is left
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit("stopped: the same command goes on where this one was") from None


@contextmanager
def input_errors_reported(config_name: str | None = None) -> Iterator[None]:
    """End the process with status 1 and one message where its input is to blame.

    What a start that failed has written is removed again.

    Args:
        config_name: Of the command, to look for the key that a misspelt one means.
    """
    try:
        if HydraConfig.initialized():
            check_override_types(HydraConfig.get())
        yield
    except (HydraException, ModuleNotFoundError, *INPUT_ERRORS) as error:
        message = input_error_message(error, config_name)
        if message is None:
            raise
        log.debug("traceback", exc_info=True)
        if HydraConfig.initialized():
            _remove_traces(Path(HydraConfig.get().runtime.output_dir))
        if os.environ.get("RANK", "0") != "0":  # as a rule rank 0 says the same, and only once
            time.sleep(_LEAST_WAIT_S)
        raise SystemExit(f"error: {message}\n(hydra.verbose=true shows the stack trace)") from error


def input_error_message(error: Exception, config_name: str | None = None) -> str | None:
    """The message of the error itself, without what hydra wraps around it; None: a fault of ours.

    Where a component got a keyword that it does not know, hydra's own words are kept: they name
    the component and its place in the config.
    """
    missing = _missing_package(error)
    if missing is not None:
        return missing
    cause: BaseException | None = error
    while isinstance(cause, InstantiationException):
        cause = cause.__cause__
    if isinstance(error, MissingConfigException):  # which is an OSError, too
        return composition_message(error, config_name)
    if isinstance(cause, OSError) and cause.filename is not None and cause.strerror:
        return f"{cause.filename}: {cause.strerror}; name another file or folder"
    if isinstance(cause, INPUT_ERRORS):
        return str(cause)
    if isinstance(error, HydraException):
        if isinstance(error, InstantiationException):
            return str(error)
        return composition_message(error, config_name)
    return None


def _missing_package(error: BaseException | None) -> str | None:
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name:
            package = error.name.partition(".")[0]
            if package in _REMEDIES:
                return f"{package} is not installed: {_REMEDIES[package]}"
        error = error.__cause__ or error.__context__
    return None


def _remove_traces(folder: Path) -> None:
    """Remove what hydra has written into a run's folder, and the folder if it holds nothing else.

    A folder that was there keeps its `.hydra`, which belongs to an earlier run.
    """
    if not folder.is_dir():
        return
    subfolder = HydraConfig.get().output_subdir
    others = [path for path in folder.iterdir() if path.name != subfolder]
    logs = [path for path in others if path.suffix == ".log" and path.is_file()]
    if len(logs) == len(others) and folder.resolve() != Path.cwd().resolve():
        shutil.rmtree(folder, ignore_errors=True)
        _remove_empty_parents(folder.resolve())
        return
    if subfolder not in (None, ".hydra"):
        shutil.rmtree(folder / subfolder, ignore_errors=True)
    for path in logs:
        if path.stat().st_size == 0:
            path.unlink()


def _remove_empty_parents(folder: Path) -> None:
    """Remove what stood around a removed folder and is empty now, below the current one."""
    here = Path.cwd().resolve()
    for parent in folder.parents:
        if here not in parent.parents:
            return
        try:
            parent.rmdir()
        except OSError:  # something else is in it
            return


# What is wrong with the overrides of a command: keys that do not exist, values of another kind

_KEY = re.compile(r"Could not override '([^']+)'")
_OPTION = re.compile(r"Could not find '([^']+?)/([^']*)'")
_OPTIONS = re.compile(r"Available options in '[^']*':\n((?:\t\S+\n?)+)")
_MOST_HINTS = 3
_KINDS = ((bool, "true or false"), (int, "a whole number"), (float, "a number"), (list, "a list"))


def check_override_types(hydra_config: HydraConf) -> None:
    """Compare each override's value with the one that it takes the place of.

    Raises:
        ValueError: text where a number or a list belongs; it names the override and its default.
    """
    overrides = [
        OverridesParser.create().parse_override(text) for text in hydra_config.overrides.task
    ]
    groups = set(hydra_config.runtime.choices)
    wanted = [override for override in overrides if _is_plain_value(override, groups)]
    if not wanted:
        return
    loader = GlobalHydra.instance().config_loader()
    chosen = [
        override.input_line
        for override in overrides
        if override.input_line and (override.key_or_group in groups or override.is_add())
    ]
    defaults = OmegaConf.to_container(
        loader.load_configuration(hydra_config.job.config_name, chosen, RunMode.RUN), resolve=False
    )
    for override in wanted:
        default, given = _at(defaults, override.key_or_group), override.value()
        kind = _expected_kind(default, given)
        if kind is not None:
            shown = f"[{given}]" if isinstance(default, list) else str(default).lower()
            raise ValueError(
                f"{override.input_line}: expected {kind}, as in {override.key_or_group}={shown}"
            )


def _is_plain_value(override: Override, groups: set[str]) -> bool:
    return (
        override.key_or_group not in groups
        and not (override.is_add() or override.is_delete() or override.is_sweep_override())
        and isinstance(override.value(), str | bool | float)
        and "${" not in str(override.value())
    )


def _expected_kind(default: Any, given: Any) -> str | None:
    """What the default is, in words, where the value is something else."""
    for kind, name in _KINDS:
        if isinstance(default, kind):
            if kind is int and isinstance(given, float):
                return None if given.is_integer() else name
            fits = isinstance(given, int | float if kind is float else kind)
            return None if fits and isinstance(given, bool) == (kind is bool) else name
    return None


def _at(defaults: Any, key: str) -> Any:
    for part in key.split("."):
        defaults = defaults.get(part) if isinstance(defaults, dict) else None
    return defaults


def composition_message(error: HydraException, config_name: str | None) -> str:
    """Hydra's lines about a config that cannot be composed; of a key, what may have been meant."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    option, options = _OPTION.search(str(error)), _OPTIONS.search(str(error))
    if option is not None and options is not None:
        group, name = option.groups()
        known = options[1].split()
        near = difflib.get_close_matches(name, known, 1)
        meant = f"did you mean {near[0]}? " if near else ""
        return f"there is no {group}={name}: {meant}There are {', '.join(known)}"
    match = _KEY.search(str(error))
    if match is None:
        return "\n".join(lines)
    known = _known_keys(config_name) if config_name else set()
    meant, siblings = _similar_keys(match[1], known), _siblings(match[1], known)
    hint = "--cfg job shows all keys"
    if meant:
        hint = f"did you mean {' or '.join(meant)}?"
    elif siblings:
        hint = f"{match[1].rpartition('.')[0]} has {', '.join(siblings)}"
    return f"Could not override '{match[1]}', there is no such key: {hint}"


def _known_keys(config_name: str) -> set[str]:
    """Dotted keys of the command's config, with the groups chosen."""
    groups = [word for word in sys.argv[1:] if "=" in word and "." not in word.split("=")[0]]
    with initialize_config_module("configs", version_base="1.3"):
        try:
            config = compose(config_name, groups)
        except HydraException:  # one of them is wrong as well
            config = compose(config_name)
    return set(_keys(OmegaConf.to_container(config, resolve=False)))


def _similar_keys(key: str, known: set[str]) -> list[str]:
    """Keys whose last word is spelt as this one's or nearly so."""
    leaf = key.rpartition(".")[2]
    leaves = {other.rpartition(".")[2] for other in known}
    near = [leaf] if leaf in leaves else difflib.get_close_matches(leaf, sorted(leaves), 1)
    alike = sorted(other for other in known if other.rpartition(".")[2] in near)
    group = [other for other in alike if other.rpartition(".")[0] == key.rpartition(".")[0]]
    return (group if leaf not in leaves and group else alike)[:_MOST_HINTS]


def _siblings(key: str, known: set[str]) -> list[str]:
    """What stands beside a key in its group; nothing on the first level, where much does."""
    group = key.rpartition(".")[0]
    words = [k.rpartition(".")[2] for k in known if group and k.rpartition(".")[0] == group]
    return sorted(word for word in words if not word.startswith("_"))


def _keys(node: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(node, dict):
        for name, child in node.items():
            yield f"{prefix}{name}"
            yield from _keys(child, f"{prefix}{name}.")
