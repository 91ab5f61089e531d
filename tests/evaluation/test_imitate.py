"""Imitation: the pupil learns what the teacher does where the pupil drives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_module

from carl_planner.beta_distribution import BetaDistribution
from carl_planner.distributed import ProcessGroup
from carl_planner.learner import Learner
from carl_planner.metrics import MetricsWriter, read_metrics
from carl_planner.progress_display import ProgressDisplay
from carl_planner.training_run import StopSignal
from evaluation.drivers.rule_drivers import RuleBasedDriver
from evaluation.imitate import Imitation, ImitationSettings, imitation_loss

SETTINGS = ImitationSettings(
    num_iterations=6,
    epochs=3,
    minibatch_size=64,
    lr=2e-3,
    alone_after=0.5,
    edge=0.05,
    most_concentration=60.0,
    value_coef=0.02,
)
OVERRIDES = [
    "experiment=driver",
    "simulator.towns=[Town02]",
    "scenarios.routes_per_town=8",
    "scenarios.scenario_triggers=false",
    "simulator.traffic.num_vehicles=4",
    "ppo.num_envs=16",
    "ppo.num_steps=32",
    "ppo.minibatch_size=64",
]


@pytest.fixture(scope="module")
def learner() -> Learner:
    with initialize_config_module("configs", version_base=None):
        config = compose("imitate", OVERRIDES)
    return Learner(config, {}, ProcessGroup())


def test_the_teacher_drives_all_worlds_first_and_a_tenth_in_the_end() -> None:
    shares = [SETTINGS.teacher_share(i) for i in range(6)]
    np.testing.assert_allclose(shares, [1.0, 2 / 3, 1 / 3, 0.1, 0.1, 0.1])


def test_loss_is_least_where_the_mean_is_what_the_teacher_does() -> None:
    taught = torch.tensor([[0.5, -0.5]])  # 0.75 and 0.25 of the unit interval
    losses = [
        float(
            imitation_loss(
                BetaDistribution(torch.tensor([[a, 40 - a]]), torch.tensor([[40 - a, a]])),
                taught,
                SETTINGS,
            )
        )
        for a in (20.0, 25.0, 29.5, 35.0, 39.0)
    ]
    assert min(losses) == losses[2]  # the mode is 28.5 / 38 = 0.75


def test_sharper_betas_than_the_bound_cost_the_square_of_what_is_beyond() -> None:
    # log B(1, 1) = 0: a flat Beta has density 1 everywhere, whatever is taught
    flat = BetaDistribution(torch.ones(1, 2), torch.ones(1, 2))
    assert float(imitation_loss(flat, torch.zeros(1, 2), SETTINGS)) == pytest.approx(0.0, abs=1e-6)
    tight = replace(SETTINGS, most_concentration=1.0)
    # alpha + beta = 2, twice the bound: (2 / 1 - 1)^2 for each of two actions
    assert float(imitation_loss(flat, torch.zeros(1, 2), tight)) == pytest.approx(2.0, abs=1e-6)


def test_actions_beyond_the_edge_are_learned_as_the_edge() -> None:
    flat_to_one = BetaDistribution(torch.full((1, 2), 2.0), torch.ones(1, 2))  # density 2x
    full = float(imitation_loss(flat_to_one, torch.ones(1, 2), SETTINGS))
    assert full == pytest.approx(-2.0 * np.log(2.0 * 0.975), abs=1e-5)  # 0.95 is 0.975 of [0, 1]


def test_the_pupil_comes_to_do_what_the_teacher_does(learner: Learner) -> None:
    imitation = Imitation(learner, RuleBasedDriver(), SETTINGS)
    imitation.collector.reset(seed=3)
    imitation.pupil.begin_rollout(1.1)
    imitation.collector.collect(lambda: False, lambda t: None)
    before = _mean_distance(imitation)
    losses = [imitation.learn()[0] for _ in range(12)]
    assert losses[-1] < 0.5 * losses[0]
    assert _mean_distance(imitation) < 0.5 * before


def test_each_drives_its_own_worlds(learner: Learner, tmp_path: Path) -> None:
    imitation = Imitation(learner, RuleBasedDriver(), SETTINGS)
    metrics = MetricsWriter(tmp_path, samples=0)
    with StopSignal() as stop, ProgressDisplay(1, 0, visible=False) as display:
        imitation.run(stop, display, metrics)
    metrics.close()
    lines = read_metrics(tmp_path)
    assert [line["samples"] for line in lines] == [512 * (i + 1) for i in range(6)]
    assert all(np.isfinite(line["losses/imitation"]) for line in lines)
    taught, driven = imitation.pupil.taught, learner.buffer.action
    own = imitation.pupil.teacher_drives
    assert 0 < own.sum() < len(own)
    np.testing.assert_array_equal(driven[:, own], taught[:, own])
    assert not np.array_equal(driven[:, ~own], taught[:, ~own])


def test_an_environment_that_hides_its_scene_is_refused(
    learner: Learner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learner, "env", object())
    with pytest.raises(ValueError, match="simulator=embedded"):
        Imitation(learner, RuleBasedDriver(), SETTINGS)


def _mean_distance(imitation: Imitation) -> float:
    """Of the policy's decisions from the teacher's, over the rollout."""
    learner = imitation.learner
    learner.buffer.finish(gamma=0.99, gae_lambda=0.95)
    observation, _ = learner.buffer.fetch(torch.arange(learner.buffer.num_samples))
    with torch.inference_mode():
        mean = learner.policy.distribution(observation).decision().numpy()
    return float(np.abs(mean - imitation.pupil.taught.reshape(mean.shape)).mean())
