"""The agent's configuration: the file of `--agent-config` over configs/carla_agent.yaml."""

from __future__ import annotations

from pathlib import Path

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

YAML_SUFFIXES = (".yaml", ".yml")
_CONFIG_NAME = "carla_agent"


def read_agent_config(path: str) -> DictConfig:
    """The composed configuration.

    Args:
        path: A YAML file with the keys that differ from the defaults (`observation: NAME` and
            `detector: NAME` choose a group), or a checkpoint on its own.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no path, an unknown key, or no YAML mapping.
    """
    if not path:
        raise ValueError(
            "the agent needs --agent-config: a checkpoint, or a YAML file with `checkpoint: PATH` "
            "and further keys of configs/carla_agent.yaml"
        )
    file = Path(path)
    if not file.exists():
        raise FileNotFoundError(f"--agent-config {path}: no such file")
    if file.suffix not in YAML_SUFFIXES:
        return _composed({"checkpoint": str(file)}, file)
    chosen = OmegaConf.to_container(OmegaConf.load(file))
    if not isinstance(chosen, dict):
        raise ValueError(f"{path} holds no YAML mapping: expected lines such as checkpoint: PATH")
    return _composed({str(key): value for key, value in chosen.items()}, file)


def _composed(chosen: dict[str, object], file: Path) -> DictConfig:
    """The defaults with the file's keys; a whole group may be given by name or in full."""
    groups = [
        f"{key}={chosen.pop(key)}" for key in ("observation", "detector") if _named(chosen, key)
    ]
    GlobalHydra.instance().clear()  # of a command that started this process
    with initialize_config_module("configs", version_base="1.3"):
        config = compose(_CONFIG_NAME, overrides=groups)
    try:
        merged = OmegaConf.merge(config, chosen)
    except OmegaConfBaseException as error:
        known = ", ".join(map(str, config))
        raise ValueError(f"{file}: {error}\nknown keys are {known}") from error
    assert isinstance(merged, DictConfig)
    return merged


def _named(chosen: dict[str, object], key: str) -> bool:
    return isinstance(chosen.get(key), str)
