"""The embedded world and the headless server, seen through the adapter, are the same world.

Same route, same actions of the ego, same traffic (played back, see `replayed_world`): the scene,
the events, the reward and what the policy sees must agree until the episode ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from hydra.utils import instantiate
from numpy.typing import NDArray

from sim_adapters.action_layout import ActionLayout
from sim_adapters.carla.headless.process import HeadlessServer
from sim_adapters.carla.simulator import LiveWorldSettings
from sim_adapters.driving.env import DrivingVectorEnv, Observation
from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.embedded.scenario_source import RandomRoutes
from sim_adapters.embedded.settings import EmbeddedSettings
from sim_adapters.embedded.simulator import EmbeddedSimulator
from sim_adapters.gymnasium_envs import compose_training_config
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.named_arrays import copy_arrays
from sim_adapters.scene.scenario import Scenario
from sim_adapters.scene.state import LightState
from sim_adapters.simulator import Simulator
from sim_adapters.world.statics import StaticSettings
from tests.carla.replayed_world import Frame, ReplayedWorld, record_frame

NUM_STEPS = 180
WARM_UP_S = 1.0
POSE_TOLERANCE = 1e-3  # [m], [rad] and [m/s]: the wire has 32-bit floats
CLOCK_TOLERANCE_S = 0.06  # of a light's remaining time: its stages are half a tick shorter
LARGEST_PIXEL_SHARE = 1e-3
TIE_S = 1e-6  # a light that changes exactly on a tick may do so in either world first


@dataclass
class OneScenario:
    """The source of a single scenario."""

    scenario: Scenario

    def next_scenario(self, world: int, episode: int) -> Scenario:
        return self.scenario


@dataclass
class Moment:
    """One world after a step, before any reset."""

    scene: dict[str, np.ndarray]
    observation: Observation
    events: dict[str, np.ndarray]
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False


class Drive:
    """Steps one environment and keeps what every step led to."""

    def __init__(self, simulator: Simulator, scenario: Scenario) -> None:
        config = compose_training_config(["observation=carl_bev", "reward=carl", "detector=carl"])
        self.env = DrivingVectorEnv(
            DrivingWorlds(
                simulator,
                instantiate(config.observation),
                instantiate(config.detector),
                ActionLayout(),
            ),
            OneScenario(scenario),
            instantiate(config.reward),
        )
        self.env._finish_episodes = lambda *_: None  # keep the last step's scene
        observation = self.env.restart()
        self.moments = [self._moment(observation, {})]

    @property
    def is_over(self) -> bool:
        return self.moments[-1].terminated or self.moments[-1].truncated

    def step(self, action: NDArray[np.float32]) -> None:
        observation, reward, terminated, truncated, _ = self.env.step(action)
        assert self.env.events is not None
        events = {name: value.numpy().copy() for name, value in self.env.events._asdict().items()}
        moment = self._moment(observation, events)
        moment.reward, moment.terminated = float(reward[0]), bool(terminated[0])
        moment.truncated = bool(truncated[0])
        self.moments.append(moment)

    def _moment(self, observation: Observation, events: dict[str, np.ndarray]) -> Moment:
        seen = {name: array.copy() for name, array in observation.items()}
        return Moment(copy_arrays(self.env.scene), seen, events)


def chase_route(env: DrivingVectorEnv) -> NDArray[np.float32]:
    """Steer for a route point some metres ahead, at most 9 m/s, and brake for nobody."""
    scene = env.scene
    target = min(int(env.memory.route.index[0]) + 6, int(scene.routes.num_points[0]) - 1)
    dx = scene.routes.x[0, target] - scene.motion.x[0, 0]
    dy = scene.routes.y[0, target] - scene.motion.y[0, 0]
    turn = math.atan2(dy, dx) - scene.motion.yaw_rad[0, 0]
    turn -= 2.0 * math.pi * round(turn / (2.0 * math.pi))
    speed = math.hypot(scene.motion.vx_mps[0, 0], scene.motion.vy_mps[0, 0])
    steer_right = -float(np.clip(1.2 * turn, -1.0, 1.0))
    return np.array([[steer_right, 0.6 if speed < 9.0 else 0.0]], np.float32)


@pytest.fixture(scope="module")
def maps() -> MapBank:
    return load_map_bank(["Town01"])


@dataclass
class Pair:
    """Both worlds' drives, and what was played back."""

    embedded: list[Moment]
    live: list[Moment]
    frames: list[Frame]
    slots: list[dict[int, int]]  # by frame: embedded actor id to the live world's slot


@pytest.fixture(scope="module", params=[0, 1], ids=["until a red light", "until a collision"])
def pair(request: pytest.FixtureRequest, maps: MapBank, server: HeadlessServer) -> Iterator[Pair]:
    routes = RandomRoutes(maps, 3, length_m=400.0, scenario_triggers=False)
    scenario = routes.next_scenario(0, request.param)
    simulator = EmbeddedSimulator(
        maps,
        1,
        EmbeddedSettings(
            statics=StaticSettings(parked_share=0.0, furniture_share=0.3),
            warm_up_s=WARM_UP_S,
            random_light_start=False,  # as CARLA's reset
        ),
    )
    drive = Drive(simulator, scenario)
    frames, actions = [record_frame(simulator.scene)], []
    while len(actions) < NUM_STEPS and not drive.is_over:
        actions.append(chase_route(drive.env))
        drive.step(actions[-1])
        frames.append(record_frame(simulator.scene))
    num_slots = simulator.scene.num_slots
    settings = LiveWorldSettings(max_actors=num_slots, warm_up_s=WARM_UP_S)
    live = ReplayedWorld(maps, server.port, frames, settings)
    live_drive = Drive(live, scenario)
    slots = [live.slots_of_puppets()]
    for action in actions:
        live_drive.step(action)
        slots.append(live.slots_of_puppets())
    yield Pair(drive.moments, live_drive.moments, frames, slots)
    live.close()


def _assert_near(one: np.ndarray, other: np.ndarray, tolerance: float, what: str) -> None:
    np.testing.assert_allclose(other, one, rtol=0.0, atol=tolerance, err_msg=what)


def test_the_episode_ends_in_both_worlds_alike(pair: Pair) -> None:
    last = pair.embedded[-1]
    assert last.terminated
    assert (pair.live[-1].terminated, pair.live[-1].truncated) == (True, False)
    assert len(pair.embedded) > 100


def test_the_ego_drives_alike(pair: Pair) -> None:
    for k, (one, other) in enumerate(zip(pair.embedded, pair.live, strict=True)):
        for name in one.scene:
            if name.startswith("motion."):
                what = f"{name} of the ego after step {k}"
                _assert_near(one.scene[name][0, 0], other.scene[name][0, 0], POSE_TOLERANCE, what)
            elif name.startswith("ego."):
                _assert_near(one.scene[name], other.scene[name], POSE_TOLERANCE, f"{name}, {k}")
        assert other.scene["clocks.elapsed_s"][0] == pytest.approx(one.scene["clocks.elapsed_s"][0])


def test_everybody_else_is_seen_alike(pair: Pair) -> None:
    compared = {"motion.x", "motion.y", "motion.z", "motion.vx_mps", "motion.vy_mps"}
    compared |= {"motion.yaw_rate_radps", "traits.kind", "traits.lights", "traits.valid"}
    compared |= {f"traits.half_{side}_m" for side in ("length", "width", "height")}
    num_compared = 0
    for k, frame in enumerate(pair.frames):
        one, other = pair.embedded[k].scene, pair.live[k].scene
        assert one["traits.valid"].sum() == other["traits.valid"].sum()
        mine = [puppet.slot for puppet in frame.values()]
        theirs = [pair.slots[k][actor_id] for actor_id in frame]
        assert min(theirs) > 0
        for name in compared:
            what = f"{name} after step {k}"
            rows = one[name][0, mine].astype(float), other[name][0, theirs].astype(float)
            _assert_near(*rows, POSE_TOLERANCE, what)
        turn = other["motion.yaw_rad"][0, theirs] - one["motion.yaw_rad"][0, mine]
        assert np.cos(turn).min() >= math.cos(POSE_TOLERANCE), f"yaw after step {k}"
        num_compared += len(mine)
    assert num_compared > 1000


def test_lights_change_alike(pair: Pair) -> None:
    seen = set()
    for one, other in zip(pair.embedded, pair.live, strict=True):
        left = one.scene["lights.remaining_s"][0]
        settled = left > TIE_S
        state, live = one.scene["lights.state"][0], other.scene["lights.state"][0]
        np.testing.assert_array_equal(state[settled], live[settled])
        counted = settled & (state != LightState.RED)
        _assert_near(
            left[counted],
            other.scene["lights.remaining_s"][0][counted],
            CLOCK_TOLERANCE_S,
            "remaining time",
        )
        seen |= set(state.tolist())
    assert {LightState.RED, LightState.YELLOW, LightState.GREEN} <= seen


def test_events_and_reward_agree(pair: Pair) -> None:
    for k, (one, other) in enumerate(zip(pair.embedded, pair.live, strict=True)):
        for name, value in one.events.items():
            np.testing.assert_allclose(
                other.events[name], value, rtol=0.0, atol=2e-3, err_msg=f"{name} after step {k}"
            )
        assert other.reward == pytest.approx(one.reward, abs=1e-4)
        assert (other.terminated, other.truncated) == (one.terminated, one.truncated)


def test_the_policy_sees_the_same_picture(pair: Pair) -> None:
    for one, other in zip(pair.embedded, pair.live, strict=True):
        assert (one.observation["bev"] != other.observation["bev"]).mean() <= LARGEST_PIXEL_SHARE
        for name in ("measurements", "value_measurements"):
            _assert_near(one.observation[name], other.observation[name], 2e-3, name)
