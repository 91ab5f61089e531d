"""Events and rewards for the tests of this folder."""

from __future__ import annotations

import torch
from hydra import compose, initialize_config_module
from hydra.utils import instantiate

from rewards.driving_events import DrivingEvents, uneventful


def events_with(**changes) -> DrivingEvents:
    """Uneventful but for the given fields, each one number or a list with one per driver."""
    count = max([len(value) if isinstance(value, list) else 1 for value in changes.values()] + [1])
    events = uneventful(count)
    for name, value in changes.items():
        column = torch.as_tensor(value, dtype=getattr(events, name).dtype)
        events = events._replace(**{name: column.expand(count).clone()})
    return events


def load_config(group: str, name: str, *overrides: str):
    """A component as a command would build it from configs/."""
    with initialize_config_module("configs", version_base="1.3"):
        config = compose(overrides=[f"+{group}={name}", *overrides])
    return instantiate(config[group])


def load_reward(name: str, *overrides: str):
    return load_config("reward", name, *overrides)
