"""How a command ends when what it was given is to blame: one clear message, no stack trace.

Errors that no input explains travel on as they are.
"""

from __future__ import annotations

import functools
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, InstantiationException, MissingConfigException
from omegaconf import DictConfig

from carl_planner.checkpoint import CheckpointError
from carl_planner.override_errors import check_override_types, composition_message
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
    """Make a function of a config from `configs` a command.

    The function keeps `input_errors_reported` around its work; this one reports what is wrong
    before it begins: a key that does not exist, a folder that cannot be written.
    """

    def decorate(task: Callable[[DictConfig], None]) -> Callable[[], None]:
        main = hydra.main(config_path="pkg://configs", config_name=config_name, version_base="1.3")
        compose_and_run = main(task)

        @functools.wraps(task)
        def command() -> None:
            os.environ["HYDRA_FULL_ERROR"] = "1"  # hydra hands errors on instead of printing them
            with input_errors_reported(config_name):
                compose_and_run()

        return command

    return decorate


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
