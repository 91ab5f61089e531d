"""The devkit's planner builds from a user's own package only once it is trusted.

Needs the devkit (`make test-nuplan`).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from gymnasium import spaces
from hydra.utils import instantiate
from omegaconf import OmegaConf

from carl_planner.checkpoint import Checkpoint, CheckpointError, describe_space, save_checkpoint
from tests.nuplan.policy_files import policy_config

pytestmark = [pytest.mark.nuplan, pytest.mark.filterwarnings("ignore")]

OWN_CODE = """
from carl_planner.policy import ActorCritic
from sim_adapters.observation.nuplan_bev import NuplanBevObserver


class OwnPolicy(ActorCritic):
    pass


class OwnObserver(NuplanBevObserver):
    pass
"""


def own_checkpoint(path: Path) -> Path:
    """A checkpoint whose policy and observer come from the package `own_code`."""
    config = policy_config()
    config.policy._target_ = "own_code.OwnPolicy"
    config.observation._target_ = "own_code.OwnObserver"
    space = instantiate(config.observation).space
    action_space = spaces.Box(-1.0, 1.0, (2,))
    policy = instantiate(config.policy, observation_space=space, action_space=action_space)
    kept = OmegaConf.to_container(config, resolve=False)
    assert isinstance(kept, dict)
    fields = {str(key): value for key, value in kept.items()}
    save_checkpoint(
        path, Checkpoint(policy.state_dict(), fields, {}, describe_space(space), {"shape": [2]})
    )
    return path


def test_the_devkits_planner_builds_what_it_is_told_to_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evaluation.nuplan_planner import CarlPlanner

    (tmp_path / "own_code.py").write_text(OWN_CODE)
    monkeypatch.syspath_prepend(tmp_path)
    checkpoint = own_checkpoint(tmp_path / "model_final.pt")
    with pytest.raises(CheckpointError, match=r"add trust=\[own_code\]"):
        CarlPlanner(str(checkpoint), str(tmp_path))
    planner = CarlPlanner(str(checkpoint), str(tmp_path), trust=["own_code"])
    assert type(planner.driver.networks[0]).__name__ == "OwnPolicy"
    assert type(instantiate(planner.observation)).__name__ == "OwnObserver"
