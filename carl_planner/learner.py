"""Everything that learns, built from a config: environment, policy, buffer, collector and PPO."""

from __future__ import annotations

import logging
from typing import Any

import hydra.utils
import numpy as np
import torch
from gymnasium import spaces
from omegaconf import DictConfig, OmegaConf

from carl_planner import checkpoint as checkpoints
from carl_planner.checkpoint import Checkpoint, CheckpointError
from carl_planner.collector import Collector
from carl_planner.distributed import ProcessGroup, choose_device
from carl_planner.features import SetFeatures
from carl_planner.network_compute import keep_freed_memory, set_compute
from carl_planner.parted_env import make_parts, num_saved_parts
from carl_planner.policy import ActorCritic
from carl_planner.ppo import Ppo, PpoSettings
from carl_planner.rollout_buffer import RolloutBuffer, make_storage
from carl_planner.rollout_env import RolloutEnv, as_rollout_env, can_be_saved, prepare
from carl_planner.state_dicts import load_strictly

log = logging.getLogger(__name__)


class Learner:
    """All parts of a run that live on one rank.

    Args:
        config: As composed by hydra, see configs/train.yaml.
        choices: Chosen option of each config group, kept in checkpoints.
        group: Processes of the run.
    """

    def __init__(self, config: DictConfig, choices: dict[str, str], group: ProcessGroup) -> None:
        self.config = config
        self.choices = choices
        self.device = choose_device(config.device, group)
        self.group = group.with_device(self.device)
        self._prepare_torch()
        self.settings: PpoSettings = hydra.utils.instantiate(config.ppo)
        self.settings.check_ranks(group.world_size)
        self.num_envs = self.settings.num_envs // group.world_size  # of this rank
        log.info("making %s environments; maps and kernels are prepared once", self.num_envs)
        self.env = self._make_env()
        self.observation_space: spaces.Dict = self.env.single_observation_space
        self.policy: ActorCritic = hydra.utils.instantiate(
            config.policy,
            observation_space=self.observation_space,
            action_space=self.env.single_action_space,
        ).to(self.device)
        set_compute(self.policy, self.settings.precision, self.settings.compile_mode)
        self.ppo = Ppo(self.policy, self.settings, self.group)
        self.buffer = self._make_buffer()
        self.collector = Collector(
            self.env,
            self.policy,
            self.buffer,
            bootstrap_on_truncation=self.settings.bootstrap_on_truncation,
            exploration=self.settings.exploration,
        )

    def init_from(self, checkpoint: Checkpoint) -> None:
        """Take the weights of a trained policy, and nothing else, before `start`.

        Levels to choose from stay this run's: a choice keeps its logit though its level moves.
        Slots of actors may say more than they did (`SetFeatures.grown`).

        Raises:
            CheckpointError: it was trained with another observation or is another network.
        """
        weights, features = dict(checkpoint.policy), self.policy.features_extractor
        if isinstance(features, SetFeatures):
            weights = features.grown(weights, "features_extractor.")
        if all(weights[name] is value for name, value in checkpoint.policy.items()):
            checkpoints.check_observation(checkpoint, self.observation_space)
        levels = self.policy.state_dict().get("action_levels")
        given = weights.get("action_levels")
        if levels is not None and given is not None and given.shape == levels.shape:
            weights["action_levels"] = levels
        try:
            self.policy.load_state_dict(weights)
        except RuntimeError as error:
            choice = checkpoint.choices.get("policy", "that of the checkpoint")
            raise CheckpointError(
                f"init_from: the checkpoint's weights do not fit this policy: {error}: use "
                f"policy={choice} with its own widths"
            ) from error

    def start(self) -> None:
        """Begin the first episodes with the same weights on all ranks."""
        self._prepare_env()
        self.collector.reset(self.config.seed)
        self.ppo.synchronize()

    def rank_state(self) -> dict[str, Any]:
        """What this rank needs to repeat the next iteration."""
        state: dict[str, Any] = {
            "rng": checkpoints.rng_state(),
            "rows": self.collector.current_rows(),
        }
        if can_be_saved(self.env):
            state["env"] = self.env.state_dict()  # pyright: ignore[reportAttributeAccessIssue]
        return state

    def restore(self, resumed: Checkpoint) -> None:
        """Go on where a resumable checkpoint was taken.

        Raises:
            CheckpointError: it belongs to another number of processes or another observation.
        """
        if len(resumed.ranks) != self.group.world_size:
            count = len(resumed.ranks)
            launcher = f"torchrun --nproc-per-node={count} -m" if count > 1 else "python -m"
            raise CheckpointError(
                f"the checkpoint was written by {count} processes, this run has "
                f"{self.group.world_size}: go on with {launcher} carl_planner.train resume=PATH"
            )
        checkpoints.check_observation(resumed, self.observation_space)
        state = resumed.ranks[self.group.rank]
        self._check_rows(state["rows"])
        self._prepare_env()
        load_strictly(self.policy, resumed.policy, "the checkpoint")
        self.ppo.optimizer.load_state_dict(resumed.optimizer)
        if "env" in state:
            if num_saved_parts(state["env"]) != self.settings.collect_parts:
                raise CheckpointError(
                    f"the checkpoint's worlds are in {num_saved_parts(state['env'])} parts, this "
                    f"run's in {self.settings.collect_parts}: leave ppo.collect_parts as it was"
                )
            self.env.load_state_dict(state["env"])  # pyright: ignore[reportAttributeAccessIssue]
            self.collector.restore_rows(state["rows"])
        else:
            log.warning("the environment keeps no state: its episodes start anew")
            self.collector.reset(self.config.seed)
        checkpoints.restore_rng_state(state["rng"])

    def policy_checkpoint(self) -> Checkpoint:
        """The policy and what it takes to build it again; not resumable."""
        config = OmegaConf.to_container(self.config, resolve=False)
        assert isinstance(config, dict)
        return Checkpoint(
            policy=self.policy.state_dict(),
            config={str(key): value for key, value in config.items()},
            choices=self.choices,
            observation_spec=checkpoints.describe_space(self.observation_space),
            action_spec={"shape": list(self.env.single_action_space.shape)},
        )

    def full_checkpoint(self, ranks: list[dict[str, Any]], progress: dict[str, Any]) -> Checkpoint:
        """A resumable checkpoint with the states of all ranks."""
        checkpoint = self.policy_checkpoint()
        checkpoint.optimizer = self.ppo.optimizer.state_dict()
        checkpoint.progress = progress
        checkpoint.ranks = ranks
        return checkpoint

    def _check_rows(self, rows: dict[str, np.ndarray]) -> None:
        """Refuse to go on with another number or another storage of environments."""
        expected = self.buffer.storage.rows
        if rows.keys() != expected.keys():
            raise CheckpointError(
                f"the checkpoint's rollouts hold {sorted(rows)}, this run's {sorted(expected)}: "
                "leave ppo.rollout_storage as it was"
            )
        num_envs = len(next(iter(rows.values())))
        if num_envs != self.num_envs:
            raise CheckpointError(
                f"the checkpoint holds {num_envs} environments a process, this run has "
                f"{self.num_envs}: leave ppo.num_envs as it was"
            )

    def _prepare_env(self) -> None:
        """Compile kernels before a run's time limit counts; leaves the environment to be set anew.

        One process of a machine goes first and the others load what it has compiled.
        """
        for first in (True, False):
            if (self.group.local_rank == 0) == first:
                prepare(self.env)
            self.group.wait()

    def _prepare_torch(self) -> None:
        if self.device.type == "cpu":
            keep_freed_memory()
        if self.config.num_threads is not None:
            torch.set_num_threads(self.config.num_threads)
        torch.manual_seed(self.config.seed + self.group.rank)
        np.random.seed(self.config.seed + self.group.rank)

    def _make_env(self) -> RolloutEnv:
        def make(num_envs: int, rank: int) -> RolloutEnv:
            env = hydra.utils.instantiate(
                self.config.env, num_envs=num_envs, rank=rank, seed=self.config.seed
            )
            return as_rollout_env(env, rank)

        return make_parts(make, self.num_envs, self.group.rank, self.settings.collect_parts)

    def _make_buffer(self) -> RolloutBuffer:
        num_steps = self.settings.num_steps
        storage = make_storage(
            self.settings.rollout_storage,
            self.env,
            num_steps=num_steps,
            device=self.device,
            paint_on=self.settings.paint_on,
        )
        return RolloutBuffer(
            storage,
            num_steps=num_steps,
            num_envs=self.num_envs,
            num_actions=self.env.single_action_space.shape[0],
            device=self.device,
        )
