"""The agent's configuration: the file of `--agent-config` over configs/carla_agent.yaml."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from evaluation.drivers.driver import driver_words
from sim_adapters.gymnasium_envs import compose_config

YAML_SUFFIXES = (".yaml", ".yml")
GROUPS = ("driver", "observation", "detector")
_CONFIG_NAME = "carla_agent"


def read_agent_config(path: str) -> DictConfig:
    """The composed configuration.

    Args:
        path: A YAML file with the keys that differ from the defaults (`driver: NAME`,
            `observation: NAME` and `detector: NAME` choose a group; `driver` may also be the path
            of a YAML file), or a checkpoint on its own.

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
    words = driver_words([f"{key}=" for key in chosen])
    renamed = dict(zip((word[:-1] for word in words), chosen.values(), strict=True))
    return _composed(renamed, file)


def _composed(chosen: dict[str, object], file: Path) -> DictConfig:
    """The defaults with the file's keys; a whole group may be given by name or in full."""
    own_driver = _own_driver(chosen, file)
    groups = [f"{key}={chosen.pop(key)}" for key in GROUPS if isinstance(chosen.get(key), str)]
    groups += [f"{key}={chosen.pop(key)}" for key in list(chosen) if key.startswith("driver.")]
    config = compose_config(_CONFIG_NAME, groups)
    if own_driver is not None:
        config.driver = own_driver
    try:
        merged = OmegaConf.merge(config, chosen)
    except OmegaConfBaseException as error:
        known = ", ".join(map(str, config))
        raise ValueError(f"{file}: {error}\nknown keys are {known}") from error
    assert isinstance(merged, DictConfig)
    return merged


def _own_driver(chosen: dict[str, object], file: Path) -> DictConfig | None:
    """A driver that is written out, here or in a file beside this one; taken out of `chosen`."""
    driver = chosen.get("driver")
    if isinstance(driver, str) and driver.endswith(YAML_SUFFIXES):
        driver = OmegaConf.to_container(OmegaConf.load(file.parent / driver))
    if not isinstance(driver, dict):
        return None
    del chosen["driver"]
    return OmegaConf.create({str(key): value for key, value in driver.items()})
