"""DrivingVectorEnv: driving worlds as a gymnasium VectorEnv (the second of the two seams).

act -> (advance -> reward) x action_repeat -> autoreset -> observe, whatever the simulator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import gymnasium
import numpy as np
import torch
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from rewards.driving_events import DrivingEvents
from rewards.reward_terms import Reward, RewardBreakdown
from sim_adapters.driving import world_scenarios
from sim_adapters.driving.world_scenarios import ScenarioSource, Seeds, WorldScenarios
from sim_adapters.driving.worlds import ACTION_SPACE, DrivingWorlds, Observation
from sim_adapters.observation.observer import DevicePainter
from sim_adapters.scene.memory_reset import restore_memory, save_memory
from sim_adapters.scene.named_arrays import copy_arrays, restore_arrays
from sim_adapters.scene_picture.scene_picture import SceneRenderer
from sim_adapters.simulator import Simulator


@dataclass
class EpisodeLog:
    """Accounts of E running episodes."""

    num_envs: int
    episode: NDArray[np.int64] = field(init=False)  # (E,) index of the running episode
    length: NDArray[np.int64] = field(init=False)  # (E,) steps so far
    episode_return: NDArray[np.float64] = field(init=False)  # (E,) undiscounted
    route_percent: NDArray[np.float64] = field(init=False)  # (E,)

    def __post_init__(self) -> None:
        """Allocate the accounts."""
        self.episode = np.full(self.num_envs, -1, np.int64)
        self.length = np.zeros(self.num_envs, np.int64)
        self.episode_return = np.zeros(self.num_envs)
        self.route_percent = np.zeros(self.num_envs)

    def restart(self, worlds: NDArray[np.int64]) -> None:
        """Count the episodes of `worlds` from the first again."""
        self.episode[worlds] = -1

    def start(self, worlds: NDArray[np.int64]) -> NDArray[np.int64]:
        """Open the next episode of `worlds`; returns their indices."""
        self.episode[worlds] += 1
        for account in (self.length, self.episode_return, self.route_percent):
            account[worlds] = 0
        return self.episode[worlds]

    def add_step(
        self,
        reward: NDArray[np.float32],
        route_percent: NDArray[np.floating],
        running: NDArray[np.bool_],
    ) -> None:
        """Add one step of the worlds whose episode is still running."""
        self.length += running
        self.episode_return[running] += reward[running]
        np.copyto(self.route_percent, route_percent, where=running)

    def summary(self, ends: Mapping[str, NDArray[np.bool_]]) -> dict[str, np.ndarray]:
        """Accounts of all worlds and why each ended, (E,) each; only finished ones mean anything.

        Args:
            ends: Whether the episode ended so, by name; becomes 1.0 or 0.0.
        """
        return {
            "return": self.episode_return.copy(),
            "length": self.length.copy(),
            "route_completion": self.route_percent.copy(),
            **{name: happened.astype(np.float32) for name, happened in ends.items()},
        }


class DecisionLog:
    """What one decision, held for some steps, has brought E drivers until their episodes ended.

    Steps after a driver's end belong to nobody: they are neither rewarded nor counted.
    """

    def __init__(self, num_envs: int) -> None:
        self.running = np.ones(num_envs, np.bool_)  # (E,) no end yet
        self.terminated = np.zeros(num_envs, np.bool_)  # (E,)
        self.truncated = np.zeros(num_envs, np.bool_)  # (E,)
        self.ends: dict[str, NDArray[np.bool_]] = {}  # (E,) each, as in `RewardBreakdown`
        self._reward = np.zeros(num_envs)
        self._terms: dict[str, np.ndarray] = {}
        self._num_steps = np.zeros(num_envs, np.int64)

    def add_step(self, outcome: RewardBreakdown) -> NDArray[np.bool_]:
        """Add one step of the drivers that are running; returns who ended in it, (E,)."""
        running = self.running
        self._num_steps += running
        np.add(self._reward, outcome.reward.numpy(), out=self._reward, where=running)
        for name, term in outcome.terms.items():
            total = self._terms.setdefault(name, np.zeros(len(running)))
            np.add(total, term.numpy(), out=total, where=running)
        terminated = outcome.terminated.numpy() & running
        truncated = outcome.truncated.numpy() & running
        ended = terminated | truncated
        for name, happened in outcome.ends.items():
            so_far = self.ends.setdefault(name, np.zeros(len(running), np.bool_))
            so_far |= happened.numpy() & ended
        self.terminated |= terminated
        self.truncated |= truncated
        self.running = running & ~ended
        return ended

    @property
    def reward(self) -> NDArray[np.float32]:
        """Sum over the steps of each driver, (E,)."""
        return self._reward.astype(np.float32)

    @property
    def terms(self) -> dict[str, np.ndarray]:
        """Reward terms, means over the steps of each driver, (E,) each."""
        return {name: total / self._num_steps for name, total in self._terms.items()}


class DrivingVectorEnv(VectorEnv[Observation, NDArray[np.float32], NDArray[np.float32]]):
    """B worlds with one learning driver each, behind gymnasium's vector interface.

    An action is held for `action_repeat` steps of the simulator, each with its own events, reward
    (summed up to the episode's end) and end; an ended world runs on unjudged to the last of them.

    Autoreset is SAME_STEP: the observation of a finished world is the first of its next episode
    (with `autoreset` off it is the last of this one, and `reset` begins the next).
    After `bind`, observations are drawn straight into the learner's rows and returned as views;
    before, an observation lasts until the step after the next.

    Args:
        worlds: What is driven; its source of scenes is a whole `Simulator`.
        scenarios: Says what each world drives next.
        driving_reward: Judges the events of a step.
        final_observations: Draw `info["final_obs"]` of finished worlds, which a learner needs to
            bootstrap on truncation. CaRL bootstraps on nothing, so it is off by default.
        first_world: Number of this env's world 0 among all ranks' worlds: what `scenarios` sees.
        seed: What `scenarios` were made with, where it is known.
    """

    metadata = {  # noqa: RUF012
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "render_modes": ["rgb_array"],
    }

    def __init__(
        self,
        worlds: DrivingWorlds,
        scenarios: ScenarioSource,
        driving_reward: Reward,
        *,
        final_observations: bool = False,
        first_world: int = 0,
        seed: int | None = None,
    ) -> None:
        self.worlds, self.driving_reward = worlds, driving_reward
        self.simulator = cast(Simulator, worlds.simulator)
        self.observer, self.action_layout = worlds.observer, worlds.action_layout
        self.scene, self.memory, self.maps = worlds.scene, worlds.memory, worlds.maps
        self.final_observations = final_observations
        self.autoreset = True
        self.render_mode: str | None = None
        self.num_envs = worlds.num_envs
        self._scenarios = WorldScenarios(scenarios, self.num_envs, first_world, seed)
        self.single_observation_space = self.observer.space
        self.observation_space = batch_space(self.observer.space, self.num_envs)
        self.single_action_space = ACTION_SPACE
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.stored_space = self.observer.stored_space
        self.rollout_storage = worlds.rows.storage
        self.episodes = EpisodeLog(self.num_envs)
        self.events: DrivingEvents | None = None  # of the last step, before any reset
        self.outcome: RewardBreakdown | None = None
        self.metadata = {**self.metadata, "render_fps": max(1, round(1.0 / self.scene.step_s))}
        self._renderer: SceneRenderer | None = None

    # gymnasium -------------------------------------------------------------------------------

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start every world's next episode; with a seed, the first episode of that seed.

        Args:
            seed: One for all worlds, which differ all the same, or a list with one a world (None
                goes on): world i of `seed=[a, b]` then drives what the only world of an
                environment drives after `reset(seed=a)`.
            options: `reset_mask`, (E,) bool, leaves the other worlds as they are.

        Raises:
            ValueError: not a seed, or the scenarios know one only.
        """
        worlds = world_scenarios.masked_worlds(options or {}, self.num_envs)
        self.episodes.restart(self._scenarios.reseed(seed, worlds))
        if isinstance(seed, int):
            self._np_random, self._np_random_seed = np_random(seed)
        self._start_episodes(worlds)
        self.worlds.rows.restart()
        return self.observe(), {}

    def restart(self) -> Observation:
        """Start every world's first episode under the seed that it has."""
        self.episodes.restart(np.arange(self.num_envs))
        return self.reset()[0]

    def step(
        self, actions: Any
    ) -> tuple[
        Observation, NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]
    ]:
        """Hold the actions for `action_repeat` steps of `scene.step_s` in every world.

        `info["reward_terms"]` are means over these steps.

        Args:
            actions: (E, 2) numbers, clipped to [-1, 1].

        Raises:
            ValueError: another shape, or not numbers.
        """
        self.worlds.act(actions)
        rows = self.worlds.rows
        decision, final = DecisionLog(self.num_envs), np.full(self.num_envs, None, object)
        for _ in range(self.action_repeat):
            ended = self._advance(decision)
            if self.final_observations and ended.any():
                drawn = rows.draw_final(self.scene, self.memory, self.maps, ended)
                final[ended] = drawn[ended]
            if not decision.running.any():
                break
        info: dict[str, Any] = {"reward_terms": decision.terms}
        if not decision.running.all():
            self._finish_episodes(decision, final, info)
        rows.advance()
        return self.observe(), decision.reward, decision.terminated, decision.truncated, info

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """A bird's-eye picture of every driver, (H, W, 3) each; None without a `render_mode`."""
        if self.render_mode is None:
            gymnasium.logger.warn("render() shows nothing: make the env with render_mode=rgb_array")
            return None
        return tuple(self.picture_of(agent) for agent in range(self.num_envs))

    def picture_of(self, agent: int) -> NDArray[np.uint8]:
        """A bird's-eye picture of one driver, (H, W, 3), heading up."""
        if self._renderer is None:
            self._renderer = SceneRenderer(self.scene, self.memory, self.maps)
        return self._renderer.draw(agent)

    def close_extras(self, **_: Any) -> None:
        """Release what the simulator holds."""
        self.worlds.close()

    @property
    def action_repeat(self) -> int:
        """Steps that an action is held."""
        return self.worlds.action_repeat

    def prepare(self) -> None:
        """Compile what a step needs; the next `reset` with a seed starts as if nothing was."""
        self.restart()
        self.step(np.zeros((self.num_envs, 2), np.float32))

    # The learner's rows ----------------------------------------------------------------------

    def bind(self, rows: Mapping[str, np.ndarray]) -> None:
        """Draw from now on into these (T + 1, E, ...) arrays, named as `stored_space` or `space`.

        `reset` draws row 0 and every step the next one; `rewind` goes back to row 0.
        """
        self.worlds.rows.bind(rows)

    def rewind(self) -> None:
        """Begin a new rollout: the last row becomes row 0."""
        self.worlds.rows.rewind()

    def redraw(self, stored: Mapping[str, np.ndarray], out: Mapping[str, np.ndarray]) -> None:
        """Paint N stored rows again into (N, ...) observations; equal to the first time."""
        self.observer.paint(stored, self.maps, out)

    def hand_over_painting(self, device: torch.device) -> DevicePainter:
        """What paints bound rows on a GPU; steps return bare rows then, see `ObservationRows`."""
        return self.worlds.rows.hand_over_painting(self.maps, device)

    def observe(self) -> Observation:
        """Draw the present into the current row and return it."""
        return self.worlds.observe()

    # Checkpoints -----------------------------------------------------------------------------

    def state_dict(self) -> dict[str, np.ndarray]:
        """The whole state of simulator, memory and episode accounts."""
        state = {f"simulator.{k}": v for k, v in self.simulator.state_dict().items()}
        state |= self._scenarios.state_dict()
        return state | save_memory(self.memory) | copy_arrays(self.episodes, "episodes")

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on where `state_dict` was taken; draw with `observe` afterwards."""
        prefix = "simulator."
        self.simulator.load_state_dict(
            {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        )
        self._scenarios.load_state_dict(state)
        restore_memory(self.memory, state)
        restore_arrays(self.episodes, state, "episodes")

    # Episodes --------------------------------------------------------------------------------

    def _advance(self, decision: DecisionLog) -> NDArray[np.bool_]:
        """One step of the worlds, judged; returns those whose episode ended in it, (E,)."""
        self.events = self.worlds.advance()
        self.outcome = outcome = self.driving_reward(self.events)
        self.episodes.add_step(
            outcome.reward.numpy().astype(np.float32),
            self.worlds.event_arrays.route_percent,
            decision.running,
        )
        return decision.add_step(outcome)

    def _finish_episodes(
        self, decision: DecisionLog, final: NDArray[np.object_], info: dict[str, Any]
    ) -> None:
        finished = ~decision.running
        # Not `episode`: that key belongs to gymnasium's RecordEpisodeStatistics
        info["finished_episode"] = self.episodes.summary(decision.ends)
        info["_finished_episode"] = finished
        if self.final_observations:
            info["final_obs"] = final
            info["_final_obs"] = finished.copy()
        if self.autoreset:
            self._start_episodes(np.flatnonzero(finished))

    def _start_episodes(self, worlds: NDArray[np.int64]) -> None:
        episodes = self.episodes.start(worlds)
        scenarios = [
            self._scenarios.next_scenario(int(world), int(episode))
            for world, episode in zip(worlds, episodes, strict=True)
        ]
        self.worlds.reset(worlds, scenarios)
