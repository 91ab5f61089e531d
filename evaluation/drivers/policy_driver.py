"""PolicyDriver: trained networks at the wheel, and what their checkpoints decide."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf

from carl_planner.checkpoint import CheckpointError, describe_space
from carl_planner.policy import ActorCritic
from carl_planner.policy_files import POLICY_MODULES, LoadedPolicy, load_policy
from carl_planner.trusted_config import trusted_node
from sim_adapters.driving.worlds import ACTION_SPACE, DrivingWorlds, Observation, allocate
from sim_adapters.scene.counter_rng import uniform

MODEL_PATTERN = "model_final*.pt*"
# What a checkpoint decides, with its action layout: how it sees and what it was paid for. Each is
# built by these modules only, since others of this project write files and start programs.
CHECKPOINT_GROUPS = {
    "observation": ("sim_adapters.observation",),
    "policy": POLICY_MODULES,
    "reward": ("rewards",),
}
LAYOUT = "env.action_layout"
ACTION_REPEAT = "env.action_repeat"
DRAWN_ACTION = 0xAC7  # purpose of a random number: one decision of a policy that draws


def load_ensemble(paths: str | Sequence[str], trust: Sequence[str] = ()) -> list[LoadedPolicy]:
    """The policies meant by `checkpoint=`: a file, a run folder (its final model), or a list.

    Args:
        paths: Files and folders.
        trust: Packages beside this project's that a checkpoint's policy may be built from.

    Raises:
        CheckpointError: none there, unreadable, or trained with different observations.
    """
    files = checkpoint_files([paths] if isinstance(paths, str) else paths)
    policies = [load_policy(file, trust=trust) for file in files]
    for file, policy in zip(files, policies, strict=True):
        if policy.observation_spec != policies[0].observation_spec:
            raise CheckpointError(
                f"{file} sees another observation than {files[0]}: an ensemble needs one"
            )
    return policies


def checkpoint_files(paths: Sequence[str]) -> list[Path]:
    """All files meant by these files and folders."""
    files = []
    for path in map(Path, paths):
        found = sorted(path.glob(MODEL_PATTERN)) if path.is_dir() else [path]
        if not found:
            raise CheckpointError(f"folder {path} holds no {MODEL_PATTERN}: name the file itself")
        files += found
    return files


def with_checkpoint_config(config: DictConfig, trained: DictConfig | None) -> DictConfig:
    """`config` with what belongs to the checkpoint taken from `trained`.

    Args:
        config: Of the command.
        trained: Of the checkpoint; None (a released state dict) leaves the command's groups.

    Raises:
        CheckpointError: the checkpoint would build from a package that isn't trusted.
    """
    if trained is None:
        return config
    merged = OmegaConf.create(OmegaConf.to_container(config, resolve=False))
    assert isinstance(merged, DictConfig)
    for group in CHECKPOINT_GROUPS:
        merged[group] = checkpoint_group(trained, group, config.trust)
    OmegaConf.update(merged, LAYOUT, checkpoint_layout(trained, config.trust), merge=False)
    OmegaConf.update(merged, ACTION_REPEAT, checkpoint_action_repeat(trained))
    return merged


def refuse_ignored_groups(trained: DictConfig | None) -> None:
    """Refuse what the command line says of a group that the checkpoint brings itself.

    Args:
        trained: Of the checkpoint; None (a released state dict) brings nothing.

    Raises:
        CheckpointError: it would change nothing.
    """
    is_told = trained is not None and HydraConfig.initialized()
    given = HydraConfig.get().overrides.task if is_told else []
    for override in given:
        group = override.lstrip("+~").partition("=")[0].partition(".")[0]
        if group in CHECKPOINT_GROUPS:
            raise CheckpointError(
                f"{override} would change nothing: the checkpoint brings its own {group}. Leave it "
                f"out, or train with it"
            )


def checkpoint_group(trained: DictConfig, group: str, trust: Sequence[str] = ()) -> DictConfig:
    """One of CHECKPOINT_GROUPS, safe to instantiate.

    Raises:
        CheckpointError: the checkpoint has none, or it would call what isn't trusted.
    """
    node = trusted_node(trained, group, (*CHECKPOINT_GROUPS[group], *trust))
    if node is None:
        raise CheckpointError(f"the checkpoint's config has no {group}: it drives in another world")
    return node


def checkpoint_layout(trained: DictConfig, trust: Sequence[str] = ()) -> DictConfig | None:
    """The checkpoint's action layout, safe to instantiate; None is CARLA's.

    Raises:
        CheckpointError: it would call what isn't trusted.
    """
    return trusted_node(trained, LAYOUT, ("sim_adapters.action_layout", *trust))


def checkpoint_action_repeat(trained: DictConfig) -> int:
    """Steps of the simulator that the checkpoint's actions were held in training; 1 if unsaid.

    Raises:
        CheckpointError: it is no positive number.
    """
    env = trained.get("env")
    plain = OmegaConf.to_container(env, resolve=False) if isinstance(env, DictConfig) else {}
    found = plain.get("action_repeat", 1) if isinstance(plain, dict) else 1
    if not isinstance(found, int) or found < 1:
        raise CheckpointError(
            f"the checkpoint's {ACTION_REPEAT} is {found!r}, expected a number of steps, 1 or more"
        )
    return found


class PolicyDriver:
    """A trained network, acting as its policy says: by means of Betas, likeliest choices, or draws.

    What is drawn depends on the world's seed and the number of the decision alone, so a drive is
    the same whatever is driven beside it.

    Args:
        networks: For one observation; of several, the mean actions are averaged (CaRL evaluates all
            `model*.pth` of a folder so).
        name: Shown in tables.
        loaded: What they were loaded from, which brings observation, actions and reward; None for
            networks of this process.
        trust: Packages beside this project's that a checkpoint may build from.
        one_at_a_time: Show each driver to the networks by itself: the sums of a batch are rounded
            by its size, and what a policy does must not depend on how many are driven at once.
    """

    values: NDArray[np.float32] | None

    def __init__(
        self,
        networks: Sequence[ActorCritic],
        name: str = "policy",
        *,
        loaded: LoadedPolicy | None = None,
        trust: Sequence[str] = (),
        one_at_a_time: bool = False,
    ) -> None:
        self.networks = [network.eval() for network in networks]
        self.device = next(self.networks[0].parameters()).device  # that of all of them
        self.name, self.loaded, self.trust = name, loaded, trust
        self.one_at_a_time = one_at_a_time
        self.with_values, self.values = False, None
        self._num_decisions = np.zeros(0, np.int64)  # (E,) of the episode

    def parts(self, config: DictConfig) -> DictConfig:
        """`config` with what belongs to the checkpoint.

        Raises:
            CheckpointError: the command line says something else of that, or it isn't trusted.
        """
        trained = self.loaded.config if self.loaded else None
        refuse_ignored_groups(trained)
        return with_checkpoint_config(config, trained)

    def begin_episodes(self, agents: NDArray[np.int64], worlds: DrivingWorlds) -> None:
        """Decisions are counted anew; at a first start the network is held against the observation.

        Raises:
            CheckpointError: it was trained with another.
        """
        if len(agents) == worlds.num_envs:
            self.check_observation(worlds)
            self._num_decisions = np.zeros(worlds.num_envs, np.int64)
        self._num_decisions[agents] = 0
        self._one = allocate(worlds.observer.space, 1) if self.one_at_a_time else {}

    def check_observation(self, worlds: DrivingWorlds) -> None:
        """Refuse worlds that show something else than the checkpoint was trained with."""
        found = describe_space(worlds.single_observation_space)
        if self.loaded and self.loaded.observation_spec != found:
            choice = self.loaded.choices.get("observation", "carl_bev")
            raise CheckpointError(
                f"the worlds show {found}, the checkpoint was trained with "
                f"{self.loaded.observation_spec}: use observation={choice}"
            )

    def act(self, worlds: DrivingWorlds) -> NDArray[np.float32]:
        """What the networks decide on what is seen now, (E, 2)."""
        seen, draws = worlds.observe(), self._draws(worlds)
        if not self.one_at_a_time:
            return self._ask(seen, draws)
        actions, values = [], []
        for row in range(worlds.num_envs):
            actions.append(self._ask(self._row(seen, row), draws[row : row + 1]))
            values.append(self.values)
        if self.with_values:
            self.values = np.concatenate(values)
        return np.concatenate(actions)

    def _draws(self, worlds: DrivingWorlds) -> NDArray[np.float32]:
        """Random numbers in [0, 1) for this decision, (E, 2)."""
        found = np.zeros((worlds.num_envs, 2), np.float32)
        if any(network.draws for network in self.networks):
            seeds = worlds.scene.clocks.seed[worlds.scene.ego.world]
            for agent, number in enumerate(self._num_decisions.tolist()):
                for column in (0, 1):
                    found[agent, column] = uniform(seeds[agent], number, column, DRAWN_ACTION)
        self._num_decisions += 1
        return np.minimum(found, np.nextafter(np.float32(1), np.float32(0)))

    def _row(self, seen: Observation, row: int) -> Observation:
        """One driver's part, which the networks read from one place in memory, always."""
        for name, array in self._one.items():
            np.copyto(array, seen[name][row : row + 1])
        return self._one

    @torch.inference_mode()
    def _ask(self, seen: Observation, draws: NDArray[np.float32]) -> NDArray[np.float32]:
        tensors = {name: torch.from_numpy(array).to(self.device) for name, array in seen.items()}
        numbers = torch.from_numpy(draws).to(self.device)
        if self.with_values:
            outputs = [network(tensors) for network in self.networks]
            actions = [
                network.driven(output.distribution, numbers)
                for network, output in zip(self.networks, outputs, strict=True)
            ]
            values = torch.stack([output.value for output in outputs])
            self.values = values.mean(dim=0).cpu().numpy()
        else:
            actions = [network.drive(tensors, numbers) for network in self.networks]
        return torch.stack(actions).mean(dim=0).cpu().numpy().astype(np.float32)


def policy_driver(
    checkpoint: str | Sequence[str] | None,
    *,
    name: str = "policy",
    trust: Sequence[str] = (),
    device: str = "cpu",
    one_at_a_time: bool = False,
) -> PolicyDriver:
    """The driver of `driver=policy`: a checkpoint, or several.

    Args:
        checkpoint: File, run folder (its final model), or a list of these.
        name: Shown in tables.
        trust: Packages beside this project's that a checkpoint may build from.
        device: Of the networks.
        one_at_a_time: See `PolicyDriver`.

    Raises:
        CheckpointError: none there, unreadable, or trained with different observations.
        ValueError: no checkpoint, or no such device.
    """
    if checkpoint is None:
        raise ValueError("driver=policy needs checkpoint=PATH; rules do not, e.g. driver=idm")
    if str(device).startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device={device}, but torch finds no CUDA device: use device=cpu")
    loaded = load_ensemble(checkpoint, trust)
    for one in loaded:
        one.policy.to(torch.device(device))
    return PolicyDriver(
        [one.policy for one in loaded],
        name,
        loaded=loaded[0],
        trust=trust,
        one_at_a_time=one_at_a_time,
    )


def untrained_driver(config: DictConfig, worlds: DrivingWorlds, seed: int) -> PolicyDriver:
    """The network of `config.policy` with fresh weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network: ActorCritic = instantiate(
            config.policy,
            observation_space=worlds.single_observation_space,
            action_space=ACTION_SPACE,
        )
    return PolicyDriver([network], "untrained")
