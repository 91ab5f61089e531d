"""Precision and compilation of the network: bfloat16 learns what float32 learns, names stay."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from gymnasium import spaces
from test_ppo import SETTINGS, WHOLE, make_policy, make_rollout, weights

from carl_planner.distributed import ProcessGroup
from carl_planner.features import ImageFeatures
from carl_planner.image_encoders import small_cnn
from carl_planner.network_compute import set_compute
from carl_planner.policy import ActorCritic
from carl_planner.ppo import LossSums, Ppo
from carl_planner.rollout_buffer import PixelStorage, RolloutBuffer

CPU = torch.device("cpu")
SIZE, STEPS, MINIBATCH, UPDATES = 40, 16, 64, 200
SPACE = spaces.Dict(
    {
        "bev": spaces.Box(0, 255, (2, SIZE, SIZE), np.uint8),
        "measurements": spaces.Box(-1, 1, (2,), np.float32),
        "value_measurements": spaces.Box(-1, 1, (1,), np.float32),
    }
)
ACTIONS = spaces.Box(-1, 1, (2,), np.float32)


def image_policy() -> ActorCritic:
    torch.manual_seed(0)
    features = partial(ImageFeatures, cnn=small_cnn, state_widths=(16,), fusion_widths=(64,))
    return ActorCritic(SPACE, ACTIONS, features=features, head_widths=(32,))


def steering_rollout(policy: ActorCritic) -> RolloutBuffer:
    """A square at a random place; the reward is how near the first action is to its column."""
    rng = np.random.default_rng(0)
    storage = PixelStorage(SPACE, num_steps=STEPS, num_envs=STEPS, device=CPU)
    shape = {"num_steps": STEPS, "num_envs": STEPS}
    rollout = RolloutBuffer(storage, **shape, num_actions=2, device=CPU)
    columns = rng.integers(0, SIZE - 8, (STEPS + 1, STEPS))
    for (t, env), column in np.ndenumerate(columns):
        row = rng.integers(0, SIZE - 8)
        storage.rows["bev"][t, env, 0, row : row + 8, column : column + 8] = 255
        storage.rows["bev"][t, env, 1, :, column : column + 3] = 127
    for name in ("measurements", "value_measurements"):
        storage.rows[name][:] = rng.normal(size=storage.rows[name].shape)
    for t in range(STEPS):
        with torch.inference_mode():
            sampled = policy.act(storage.current(t, {}))
        rollout.action[t], rollout.log_prob[t] = sampled.action, sampled.log_prob
        rollout.value[t] = sampled.value
    wanted = columns[:STEPS] / (SIZE - 8) * 2.0 - 1.0
    rollout.reward[:] = 1.0 - np.abs(rollout.action[..., 0] - wanted)
    rollout.terminated[:] = True
    rollout.finish(gamma=0.99, gae_lambda=0.95)
    return rollout


def losses_of(precision: str) -> np.ndarray:
    """Mean losses of each of 200 updates from the same rollout, (updates, losses)."""
    policy = image_policy()
    rollout = steering_rollout(policy)  # acted in float32
    set_compute(policy, precision, None)
    sizes = {"num_envs": STEPS, "num_steps": STEPS, "minibatch_size": MINIBATCH}
    settings = replace(SETTINGS, **sizes, lr=3e-4, clip_range=0.2, value_clip_range=None)
    ppo = Ppo(policy, settings, ProcessGroup())
    generator = torch.Generator().manual_seed(1)
    rows = []
    for _ in range(UPDATES):
        indices = torch.randperm(STEPS * STEPS, generator=generator)[:MINIBATCH]
        ((mean, std),) = ppo.advantage_moments(rollout.flat("advantage"), indices[None])
        sums, _ = ppo.step(rollout, indices, mean, std)
        rows.append((sums / MINIBATCH).tolist())
    return np.array(rows)


def test_bfloat16_learns_with_float32s_losses_over_200_updates() -> None:
    exact, rounded = losses_of("float32"), losses_of("bf16")
    assert not np.array_equal(exact, rounded)
    value = LossSums._fields.index("value")
    assert exact[-1, value] < 0.1 * exact[0, value]  # it has learned
    for name, largest, mean in (
        ("policy", 0.02, 0.004),
        ("value", 0.02, 0.004),
        ("entropy", 0.03, 0.01),
    ):  # the tolerance that docs/gpu.md states
        column = LossSums._fields.index(name)
        difference = np.abs(exact[:, column] - rounded[:, column])
        assert difference.max() < largest, name
        assert difference.mean() < mean, name


def test_heads_values_and_gradients_stay_float32() -> None:
    policy = image_policy()
    rollout = steering_rollout(policy)
    set_compute(policy, "bf16", None)
    observation, _ = rollout.fetch(torch.arange(4))
    seen: list[torch.dtype] = []
    policy.features_extractor.cnn[3].register_forward_hook(  # pyright: ignore
        lambda module, inputs, output: seen.append(output.dtype)
    )
    distribution, value = policy(observation)
    assert seen == [torch.bfloat16]
    assert distribution.alpha.dtype == value.dtype == torch.float32
    (distribution.entropy().sum() + value.sum()).backward()
    assert {p.grad.dtype for p in policy.parameters() if p.grad is not None} == {torch.float32}


def test_float32_is_exact_on_a_gpu_too_and_tf32_is_not() -> None:
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    try:
        for precision, rounds in (("float32", False), ("tf32", True)):
            set_compute(make_policy(), precision, None)
            assert torch.backends.cudnn.allow_tf32 is rounds
            assert torch.backends.cuda.matmul.allow_tf32 is rounds
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


@pytest.mark.slow  # 20 s of inductor
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_policy_takes_the_same_step_under_the_same_names() -> None:
    plain, compiled = make_policy(), make_policy()
    set_compute(compiled, "float32", "default")
    graphs = torch._dynamo.utils.counters["stats"]
    before = graphs["unique_graphs"]
    assert list(compiled.state_dict()) == list(plain.state_dict())
    for policy in (plain, compiled):
        rollout = make_rollout()
        ppo = Ppo(policy, SETTINGS, ProcessGroup())
        moments = ppo.advantage_moments(rollout.flat("advantage"), WHOLE)
        for indices, (mean, std) in zip(WHOLE, moments, strict=True):
            ppo.step(rollout, indices, mean, std)
    assert graphs["unique_graphs"] == before + 1  # whole, once
    torch.testing.assert_close(weights(compiled), weights(plain), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"precision": "fp8"}, "float32, tf32, bf16"), ({"compile_mode": "fast"}, "reduce-overhead")],
)
def test_other_words_are_refused(change: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SETTINGS, **change)  # pyright: ignore[reportArgumentType]
