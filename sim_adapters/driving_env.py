"""DrivingVectorEnv: any Simulator as a gymnasium VectorEnv (the second of the two seams).

step -> events -> reward -> autoreset -> observe. The learner on the other side cannot tell one
simulator from another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from rewards.driving_events import DrivingEvents
from rewards.reward_breakdown import Reward, RewardBreakdown
from sim_adapters.action_layout import ActionLayout, checked_actions
from sim_adapters.episode_log import DecisionLog, EpisodeLog
from sim_adapters.observation.observer import Observer
from sim_adapters.observation_rows import ObservationRows
from sim_adapters.scene.events.detection import (
    DetectorSettings,
    EventArrays,
    EventDetector,
    RoadEventDetector,
)
from sim_adapters.scene.history import make_history, record_history, restart_history
from sim_adapters.scene.named_arrays import copy_arrays, restore_arrays
from sim_adapters.scene.saved_memory import restore_memory, save_memory
from sim_adapters.scene_picture.renderer import SceneRenderer
from sim_adapters.simulator import Simulator
from sim_adapters.world_scenarios import (
    ScenarioSource,
    Seeds,
    WorldScenarios,
    checked_seed,
    masked_worlds,
)

Observation = dict[str, np.ndarray]
DEFAULT_PIXELS_PER_METER = 2.0  # of the map layers, where the observation needs none


class DrivingVectorEnv(VectorEnv[Observation, NDArray[np.float32], NDArray[np.float32]]):
    """B worlds with one learning driver each, behind gymnasium's vector interface.

    An action is held for `action_repeat` steps of the simulator, each with its own events, reward
    (summed up to the episode's end) and end; an ended world runs on unjudged to the last of them.

    Autoreset is SAME_STEP: the observation of a finished world is the first of its next episode
    (with `autoreset` off it is the last of this one, and `reset` begins the next).
    After `bind`, observations are drawn straight into the learner's rows and returned as views;
    before, an observation lasts until the step after the next.

    Args:
        simulator: Fills the scene.
        scenarios: Says what each world drives next.
        driving_reward: Judges the events of a step.
        observer: Draws what the policy sees.
        detector: Finds the events of a step; thresholds alone mean CARLA's rules.
        action_layout: Meaning of the two action columns.
        rollout_storage: "pixels" binds finished observations, "scene" the observer's compact rows;
            what is returned is finished either way.
        final_observations: Draw `info["final_obs"]` of finished worlds, which a learner needs to
            bootstrap on truncation. CaRL bootstraps on nothing, so it is off by default.
        first_world: Number of this env's world 0 among all ranks' worlds: what `scenarios` sees.
        seed: What `scenarios` were made with, where it is known.
        action_repeat: Steps that an action is held, at least 1; may be changed between steps.
    """

    metadata = {  # noqa: RUF012
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "render_modes": ["rgb_array"],
    }

    def __init__(
        self,
        simulator: Simulator,
        scenarios: ScenarioSource,
        driving_reward: Reward,
        observer: Observer,
        detector: DetectorSettings | EventDetector,
        action_layout: ActionLayout,
        *,
        rollout_storage: Literal["pixels", "scene"] = "pixels",
        final_observations: bool = False,
        first_world: int = 0,
        seed: int | None = None,
        action_repeat: int = 1,
    ) -> None:
        if action_repeat < 1:
            raise ValueError(f"env.action_repeat is {action_repeat}, expected at least 1 step")
        self.simulator, self.observer = simulator, observer
        self.driving_reward = driving_reward
        self.detector = (
            RoadEventDetector(detector) if isinstance(detector, DetectorSettings) else detector
        )
        self.action_layout = action_layout
        self.final_observations = final_observations
        self.action_repeat = action_repeat
        self.autoreset = True
        self.render_mode: str | None = None
        self.scene, self.maps = simulator.scene, simulator.maps
        self._history = make_history(self.scene, observer.history_steps)
        self.memory = replace(self.detector.make_memory(self.scene), history=self._history)
        self.num_envs = self.scene.num_agents
        self._scenarios = WorldScenarios(scenarios, self.num_envs, first_world, seed)
        self.single_observation_space = observer.space
        self.observation_space = batch_space(observer.space, self.num_envs)
        self.single_action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.stored_space = observer.stored_space
        self.rollout_storage = rollout_storage
        self.rows = ObservationRows(observer, self.num_envs, rollout_storage)
        self.episodes = EpisodeLog(self.num_envs)
        self.events: DrivingEvents | None = None  # of the last step, before any reset
        self.outcome: RewardBreakdown | None = None
        self.metadata = {**self.metadata, "render_fps": max(1, round(1.0 / self.scene.step_s))}
        self._renderer: SceneRenderer | None = None
        self._event_arrays = EventArrays.allocate(self.num_envs)
        self._steer, self._acceleration = np.zeros(self.num_envs), np.zeros(self.num_envs)

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
        worlds = masked_worlds(options or {}, self.num_envs)
        self.episodes.restart(self._scenarios.reseed(seed, worlds))
        if isinstance(seed, int):
            self._np_random, self._np_random_seed = np_random(seed)
        self._start_episodes(worlds)
        self.rows.restart()
        return self.observe(), {}

    def restart(self) -> Observation:
        """Start every world's first episode under the seed that it has."""
        self.episodes.restart(np.arange(self.num_envs))
        return self.reset()[0]

    def step(
        self, actions: NDArray[np.float32]
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
        actions = checked_actions(actions, self.num_envs)
        self.action_layout.decode(actions, self._steer, self._acceleration)
        decision, final = DecisionLog(self.num_envs), np.full(self.num_envs, None, object)
        for _ in range(self.action_repeat):
            ended = self._step_simulator(decision)
            if self.final_observations and ended.any():
                drawn = self.rows.draw_final(self.scene, self.memory, self.maps, ended)
                final[ended] = drawn[ended]
            if not decision.running.any():
                break
        info: dict[str, Any] = {"reward_terms": decision.terms}
        if not decision.running.all():
            self._finish_episodes(decision, final, info)
        self.rows.advance()
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

    def close_extras(self, **kwargs: Any) -> None:
        """Release what the simulator holds."""
        del kwargs
        self.simulator.close()

    @property
    def scenarios(self) -> ScenarioSource:
        """Says what each world drives next; whoever sets another calls `restart`."""
        return self._scenarios.source

    @scenarios.setter
    def scenarios(self, source: ScenarioSource) -> None:
        self._scenarios = WorldScenarios(source, self.num_envs, self._scenarios.first_world)

    def prepare(self) -> None:
        """Compile what a step needs; the next `reset` with a seed starts as if nothing was."""
        self.restart()
        self.step(np.zeros((self.num_envs, 2), np.float32))

    # The learner's rows ----------------------------------------------------------------------

    def bind(self, rows: Mapping[str, np.ndarray]) -> None:
        """Draw from now on into these (T + 1, E, ...) arrays, named as `stored_space` or `space`.

        `reset` draws row 0 and every step the next one; `rewind` goes back to row 0.
        """
        self.rows.bind(rows)

    def rewind(self) -> None:
        """Begin a new rollout: the last row becomes row 0."""
        self.rows.rewind()

    def redraw(self, stored: Mapping[str, np.ndarray], out: Mapping[str, np.ndarray]) -> None:
        """Paint N stored rows again into (N, ...) observations; equal to the first time."""
        self.observer.paint(stored, self.maps, out)

    def observe(self) -> Observation:
        """Draw the present into the current row and return it."""
        return self.rows.draw(self.scene, self.memory, self.maps)

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

    def _step_simulator(self, decision: DecisionLog) -> NDArray[np.bool_]:
        """One step of the simulator, judged; returns the worlds whose episode ended in it, (E,)."""
        self.simulator.step(self._steer, self._acceleration)
        self.events = self.detector.detect(self.scene, self.memory, self.maps, self._event_arrays)
        record_history(self.scene, self.memory.signs.shown_stop, self._history)
        self.outcome = outcome = self.driving_reward(self.events)
        self.episodes.add_step(
            outcome.reward.numpy().astype(np.float32),
            self._event_arrays.route_percent,
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
        self.simulator.reset(worlds, scenarios)
        self.detector.reset_memory(worlds, self.scene, self.memory, self.maps)
        restart_history(worlds, self.scene, self.memory.signs.shown_stop, self._history)


def make_driving_env(
    simulator: Callable[..., Simulator],
    scenarios: Callable[..., ScenarioSource],
    detector: DetectorSettings | EventDetector,
    reward: Reward,
    observation: Observer,
    *,
    num_envs: int,
    rank: int = 0,
    seed: int = 0,
    action_layout: ActionLayout | None = None,
    rollout_storage: Literal["pixels", "scene"] = "pixels",
    final_observations: bool = False,
    action_repeat: int = 1,
) -> DrivingVectorEnv:
    """The environment that a configuration describes; what hydra calls for the node `env`.

    Args:
        simulator: Called with `num_worlds` and `pixels_per_meter`, that of the observation.
        scenarios: Called with the simulator's `maps` and the `seed`.
        detector: Finds the events of a step; thresholds alone mean CARLA's rules.
        reward: Judges the events.
        observation: Draws what the policy sees.
        num_envs: Number of worlds in this process.
        rank: Rank of this process; its worlds are number `rank * num_envs` and following, so that
            a run's worlds drive the same routes however many processes share them.
        seed: Of the routes and everything that happens on them, until a `reset` names another.
        action_layout: CARLA's if not given.
        rollout_storage: See `DrivingVectorEnv`.
        final_observations: See `DrivingVectorEnv`.
        action_repeat: See `DrivingVectorEnv`.
    """
    seed = checked_seed(seed)
    resolution = observation.required_pixels_per_meter or DEFAULT_PIXELS_PER_METER
    worlds = simulator(num_worlds=num_envs, pixels_per_meter=resolution)
    return DrivingVectorEnv(
        worlds,
        scenarios(maps=worlds.maps, seed=seed),
        reward,
        observation,
        detector,
        action_layout or ActionLayout(),
        rollout_storage=rollout_storage,
        final_observations=final_observations,
        first_world=rank * num_envs,
        seed=seed,
        action_repeat=action_repeat,
    )
