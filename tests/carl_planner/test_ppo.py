"""One PPO step: its losses by hand, and the same step whole, in micro-batches and on two ranks."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces

from carl_planner import schedules
from carl_planner.distributed import ProcessGroup
from carl_planner.features import VectorFeatures
from carl_planner.policy import ActorCritic
from carl_planner.ppo import NonFiniteLossError, Ppo, PpoSettings
from carl_planner.rollout_buffer import PixelStorage, RolloutBuffer

HERE = Path(__file__).parent
CPU = torch.device("cpu")
SPACE = spaces.Dict(
    {
        "vector": spaces.Box(-1, 1, (3,), np.float32),
        "measurements": spaces.Box(-1, 1, (2,), np.float32),
        "value_measurements": spaces.Box(-1, 1, (1,), np.float32),
    }
)
SETTINGS = PpoSettings(
    total_samples=32,
    num_envs=4,
    num_steps=4,
    minibatch_size=8,
    epochs=1,
    micro_batch_size=None,
    lr=0.01,
    lr_schedule=schedules.constant,
    adam_eps=1e-5,
    gamma=0.99,
    gae_lambda=0.95,
    bootstrap_on_truncation=False,
    clip_range=0.1,
    value_clip_range=0.1,
    normalize_advantage=True,
    entropy_coef=0.01,
    value_coef=0.5,
    max_grad_norm=0.5,
    target_kl=None,
    kl_stops_per_halving=8,
    exploration=None,
    rollout_storage="pixels",
)


def make_policy() -> ActorCritic:
    torch.manual_seed(0)
    features = partial(VectorFeatures, widths=(16,))
    action_space = spaces.Box(-1, 1, (2,), np.float32)
    return ActorCritic(SPACE, action_space, features=features, head_widths=(8,))


def make_rollout(worlds: slice = slice(0, 4)) -> RolloutBuffer:
    """A rollout of four steps with random contents; `worlds` picks some of its four worlds."""
    rng = np.random.default_rng(1)
    num_envs = len(range(4)[worlds])
    storage = PixelStorage(SPACE, num_steps=4, num_envs=num_envs, device=CPU)
    rollout = RolloutBuffer(storage, num_steps=4, num_envs=num_envs, num_actions=2, device=CPU)
    for array in storage.rows.values():
        array[:] = rng.normal(size=(5, 4, *array.shape[2:]))[:, worlds]
    rollout.action[:] = rng.uniform(-0.9, 0.9, (4, 4, 2))[:, worlds]
    for array in (rollout.log_prob, rollout.reward):
        array[:] = rng.normal(size=(4, 4))[:, worlds]
    rollout.value[:] = rng.normal(size=(5, 4))[:, worlds]
    rollout.finish(gamma=0.99, gae_lambda=0.95)
    return rollout


def weights(policy: ActorCritic) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in policy.parameters()])


def take_steps(
    settings: PpoSettings, group: ProcessGroup, rollout: RolloutBuffer, minibatches: torch.Tensor
) -> torch.Tensor:
    """Weights after one step per row of `minibatches`, this rank's flat indices."""
    policy = make_policy()
    ppo = Ppo(policy, settings, group)
    moments = ppo.advantage_moments(rollout.flat("advantage"), minibatches)
    for indices, (mean, std) in zip(minibatches, moments, strict=True):
        ppo.step(rollout, indices, mean, std)
    return weights(policy)


# Flat index t * 4 + world: every row holds, of each of the two ranks' two worlds, four samples.
WHOLE = torch.tensor([[0, 1, 4, 9, 2, 6, 7, 11], [5, 8, 12, 13, 3, 10, 14, 15]])


def share_of(rank: int) -> torch.Tensor:
    """The same samples as indices t * 2 + world into the rollout of that rank's two worlds."""
    t, world = WHOLE // 4, WHOLE % 4
    mine = world // 2 == rank
    return torch.stack([(t * 2 + world % 2)[row][mine[row]] for row in range(len(WHOLE))])


def test_micro_batches_take_the_same_step_as_a_whole_minibatch() -> None:
    alone = ProcessGroup()
    whole = take_steps(SETTINGS, alone, make_rollout(), WHOLE)
    assert not torch.allclose(whole, weights(make_policy()), atol=1e-3)
    for micro_batch_size in (3, 4):  # 3 leaves a smaller last part
        settings = replace(SETTINGS, micro_batch_size=micro_batch_size)
        split = take_steps(settings, alone, make_rollout(), WHOLE)
        torch.testing.assert_close(split, whole, rtol=1e-4, atol=1e-6)


def test_two_ranks_take_the_same_step_as_one(tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
        *(str(Path(__file__)), str(tmp_path)),
    ]
    environment = os.environ | {"PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        command, check=False, timeout=120, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    whole = take_steps(SETTINGS, ProcessGroup(), make_rollout(), WHOLE)
    for rank in (0, 1):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-6)


def test_advantage_moments_are_those_of_each_minibatch() -> None:
    rollout = make_rollout()
    found = Ppo(make_policy(), SETTINGS, ProcessGroup()).advantage_moments(
        rollout.flat("advantage"), WHOLE
    )
    for indices, (mean, std) in zip(WHOLE, found, strict=True):
        chosen = rollout.flat("advantage")[indices]
        assert mean == pytest.approx(float(chosen.mean()), rel=1e-5)
        assert std == pytest.approx(float(chosen.std()) + 1e-8, rel=1e-5)  # Bessel-corrected


def test_losses_are_those_of_the_clipped_objective() -> None:
    ppo = Ppo(make_policy(), SETTINGS, ProcessGroup())
    rollout = make_rollout()
    observation, batch = rollout.fetch(torch.tensor([0, 1, 2]))
    distribution, value = ppo.policy(observation)
    log_prob, value = distribution.log_prob(batch["action"]).detach(), value.detach()
    # Ratios of 1, 1.5 and 0.5 with advantages 2, 2 and -2; the critic's old values are 0, 1 and
    # 0.05 below the new ones, and the returns 1 above the new ones.
    batch["log_prob"] = log_prob - torch.tensor([1.0, 1.5, 0.5]).log()
    batch["advantage"] = torch.tensor([2.0, 2.0, -2.0])
    batch["value"] = value - torch.tensor([0.0, 1.0, 0.05])
    batch["return"] = value + 1.0
    losses = ppo.loss_sums(observation, batch)
    # The gains 2 of the first two count 1 and at most 1.1 times, the loss of 2 at least 0.9 times.
    assert float(losses.policy.detach()) == pytest.approx(-2.0 - 2.2 + 1.8, rel=1e-4)
    # Clipped values are v, v - 1 + 0.1 and v: errors 1, 1.9 and 1; the larger loss counts.
    expected = 0.5 * (1.0 + 1.9**2 + 1.0)
    assert float(losses.value.detach()) == pytest.approx(expected, rel=1e-4)
    assert float(losses.clip_fraction) == 2.0
    expected_kl = (0.5 - np.log(1.5)) + (-0.5 - np.log(0.5))
    assert float(losses.approx_kl) == pytest.approx(expected_kl, rel=1e-3)


def test_gradient_is_clipped_to_the_global_norm() -> None:
    policy = make_policy()
    ppo = Ppo(policy, SETTINGS, ProcessGroup())
    ppo.gradients.flat.fill_(1.0)
    num_trainable = ppo.gradients.flat.numel()
    assert ppo.gradients.clip_norm(0.5) == pytest.approx(num_trainable**0.5)
    trainable = [p for p in policy.parameters() if p.requires_grad]
    squares = sum(float(p.grad.square().sum()) for p in trainable if p.grad is not None)
    assert squares**0.5 == pytest.approx(0.5, rel=1e-4)


def test_nan_names_what_is_broken_and_leaves_the_weights() -> None:
    policy = make_policy()
    before = weights(policy)
    rollout = make_rollout()
    rollout.reward[3, 0] = np.nan
    rollout.finish(gamma=0.99, gae_lambda=0.95)
    with pytest.raises(NonFiniteLossError, match="advantage") as error:
        Ppo(policy, SETTINGS, ProcessGroup()).update(rollout)
    assert "vector" in error.value.batch
    torch.testing.assert_close(weights(policy), before)


def steps_taken(ppo: Ppo) -> int:
    """By Adam's own count."""
    return int(max(state["step"] for state in ppo.optimizer.state.values()))


def test_epochs_end_once_the_policy_has_moved_too_far() -> None:
    rollout = make_rollout()
    policy = make_policy()
    with torch.no_grad():
        old = policy.distribution(rollout.storage.fetch(torch.arange(16)))
    rollout.alpha[:] = old.alpha.numpy().reshape(4, 4, 2)
    rollout.beta[:] = old.beta.numpy().reshape(4, 4, 2)
    rollout.finish(gamma=0.99, gae_lambda=0.95)
    settings = replace(SETTINGS, epochs=5, target_kl=0.0)
    cautious = Ppo(policy, settings, ProcessGroup())
    losses = cautious.update(rollout)
    # The first minibatch sees the old policy itself, the second one that a step has moved.
    assert steps_taken(cautious) == 2
    assert losses["kl_stop"] == 1.0
    assert losses["kl"] > 0.0
    bold = Ppo(policy, replace(settings, target_kl=1e9), ProcessGroup())
    bold.update(rollout)
    assert steps_taken(bold) == 10


def test_sizes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match=r"4 envs x 4 steps = 16.*minibatches of 5"):
        replace(SETTINGS, minibatch_size=5)
    with pytest.raises(ValueError, match=r"num_envs is 4.*3 processes"):
        Ppo(make_policy(), SETTINGS, ProcessGroup(0, 3))


def test_linear_schedules_end_where_the_published_runs_did() -> None:
    num_updates = 300_000_000 // 65_536
    assert num_updates == 4577
    # CaRL_PY_00's last stored learning rate is 1.092e-7 = 2/4577 of 2.5e-4.
    last = 2.5e-4 * schedules.linear_one_late(num_updates - 1, num_updates)
    assert last == pytest.approx(1.092e-7, rel=1e-3)
    assert schedules.linear_one_late(0, 10) == pytest.approx(1.1)
    assert schedules.linear(0, 10) == 1.0
    assert schedules.linear(9, 10) == pytest.approx(0.1)


def run_as_rank(folder: Path) -> None:
    """One of the two processes of the test above."""
    from carl_planner.distributed import end_rank, join_process_group, leave_process_group

    group = join_process_group()
    worlds = slice(2 * group.rank, 2 * group.rank + 2)
    found = take_steps(SETTINGS, group, make_rollout(worlds), share_of(group.rank))
    torch.save(found, folder / f"{group.rank}.pt")
    leave_process_group()
    end_rank()


def test_entropy_falls_linearly_to_the_end_of_the_run() -> None:
    settings = replace(SETTINGS, entropy_coef=0.01, final_entropy_coef=0.003)
    shares = (-0.1, 0.0, 0.5, 1.0, 1.2)
    found = [settings.entropy_coef_at(share) for share in shares]
    assert found == pytest.approx([0.01, 0.01, 0.0065, 0.003, 0.003])
    assert SETTINGS.entropy_coef_at(0.7) == 0.01


if __name__ == "__main__":
    run_as_rank(Path(sys.argv[1]))
