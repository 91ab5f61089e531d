"""CaRL's network: names, sizes and numbers of the released state dicts."""

import math
from itertools import pairwise
from pathlib import Path

import hydra
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from gymnasium import spaces
from hydra.errors import InstantiationException
from torch import Tensor

from carl_planner.checkpoint import Checkpoint, CheckpointError, save_checkpoint, space_of
from carl_planner.features import SetFeatures
from carl_planner.policy import ActorCritic, num_trainable_parameters
from carl_planner.policy_files import export_carl_state_dict, load_policy

# (in, out, kernel, size of the output) of each convolution on a 256 x 256 raster.
CONVOLUTIONS = (
    (None, 8, 5, 126),
    (8, 16, 5, 61),
    (16, 24, 5, 29),
    (24, 32, 5, 13),
    (32, 64, 3, 6),
    (64, 128, 3, 4),
    (128, 256, 3, 2),
)


def released_state_dict(channels: int, measurements: int, values: int) -> dict[str, Tensor]:
    """A state dict as published, written down from its table, with random weights."""
    generator = torch.Generator().manual_seed(0)
    state = {
        "action_space_low": torch.tensor([-1.0, -1.0]),
        "action_space_high": torch.tensor([1.0, 1.0]),
    }

    def add(name: str, *shape: int, bias: int | None = None) -> None:
        scale = 1.0 / math.sqrt(math.prod(shape[1:])) if len(shape) in (2, 4) else 0.5
        state[f"{name}.weight"] = torch.randn(shape, generator=generator) * scale
        bias_shape = shape if bias is None else (bias,)
        state[f"{name}.bias"] = torch.randn(bias_shape, generator=generator) * 0.1

    for index, (inputs, outputs, kernel, size) in enumerate(CONVOLUTIONS):
        prefix = "features_extractor.cnn"
        add(f"{prefix}.{3 * index}", outputs, inputs or channels, kernel, kernel, bias=outputs)
        add(f"{prefix}.{3 * index + 1}", outputs, size, size)

    def add_head(name: str, *widths: int) -> None:
        for index, (inputs, outputs) in enumerate(pairwise(widths)):
            add(f"{name}.{3 * index}", outputs, inputs, bias=outputs)
            add(f"{name}.{3 * index + 1}", outputs)

    add_head("features_extractor.linear", 1280, 512, 256)
    add_head("features_extractor.state_linear", measurements, 256, 256)
    state["action_dist.suggest_go"] = torch.tensor([2.5, 1.0])
    state["action_dist.suggest_stop"] = torch.tensor([1.0, 1.5])
    state["action_dist.suggest_turn"] = torch.tensor([1.0, 1.0])
    add_head("policy_head", 256, 256, 256)
    add("dist_mu.0", 2, 256, bias=2)
    add("dist_sigma.0", 2, 256, bias=2)
    add_head("value_head", 256 + values, 256, 256)
    add("value_head.6", 1, 256, bias=1)
    return state


def configured_policy(
    name: str, *, action_levels: list[list[float]] | None = None, **shapes: tuple[int, ...]
) -> ActorCritic:
    with hydra.initialize_config_module("configs", version_base="1.3"):
        config = hydra.compose(f"policy/{name}")["policy"]
    spec = {
        key: {"shape": shape, "dtype": "uint8" if key == "bev" else "float32"}
        for key, shape in shapes.items()
    }
    action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    more = {} if action_levels is None else {"action_levels": action_levels}
    return hydra.utils.instantiate(
        config, observation_space=space_of(spec), action_space=action_space, **more
    )


def random_observation(space: dict[str, tuple[int, ...]], num: int) -> dict[str, Tensor]:
    return {
        key: torch.randint(0, 256, (num, *shape), dtype=torch.uint8)
        if key == "bev"
        else torch.randn(num, *shape)
        for key, shape in space.items()
    }


def written_out_forward(
    state: dict[str, Tensor], observation: dict[str, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Alpha, beta and value straight from the state dict, in plain NCHW operations."""

    def norm_relu(x: Tensor, name: str) -> Tensor:
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        return F.relu(F.layer_norm(x, weight.shape, weight, bias))

    def linear(x: Tensor, name: str) -> Tensor:
        return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    def head(x: Tensor, name: str) -> Tensor:
        for index in (0, 3):
            x = norm_relu(linear(x, f"{name}.{index}"), f"{name}.{index + 1}")
        return x

    x = observation["bev"].float() / 255.0
    for index, stride in enumerate((2, 2, 2, 2, 2, 1, 1)):
        name = f"features_extractor.cnn.{3 * index}"
        x = F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], stride)
        x = norm_relu(x, f"features_extractor.cnn.{3 * index + 1}")
    measured = head(observation["measurements"], "features_extractor.state_linear")
    features = head(torch.cat((x.flatten(1), measured), 1), "features_extractor.linear")
    hidden = head(features, "policy_head")
    critic = head(torch.cat((features, observation["value_measurements"]), 1), "value_head")
    return (
        F.softplus(linear(hidden, "dist_mu.0")) + 1.0,
        F.softplus(linear(hidden, "dist_sigma.0")) + 1.0,
        linear(critic, "value_head.6").squeeze(1),
    )


SIZES = [(10, 8, 10, 1_983_541), (9, 10, 4, 1_982_317)]


@pytest.mark.parametrize(("channels", "measurements", "values", "num_parameters"), SIZES)
def test_released_state_dict_loads_and_computes_what_its_table_says(
    tmp_path: Path, channels: int, measurements: int, values: int, num_parameters: int
) -> None:
    state = released_state_dict(channels, measurements, values)
    torch.save(state, tmp_path / "model_final.pth")
    loaded = load_policy(tmp_path / "model_final.pth")
    assert num_trainable_parameters(loaded.policy) == num_parameters
    assert list(loaded.policy.state_dict()) == list(state)  # the order is that of Adam's state
    torch.manual_seed(0)
    shapes = {name: tuple(entry["shape"]) for name, entry in loaded.observation_spec.items()}
    observation = random_observation(shapes, 3)
    with torch.no_grad():
        distribution, value = loaded.policy(observation)
        alpha, beta, expected_value = written_out_forward(state, observation)
    torch.testing.assert_close(distribution.alpha, alpha, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(distribution.beta, beta, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(value, expected_value, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "size", "num_parameters"),
    [("carl", SIZES[0], 1_983_541), ("carl_nuplan", SIZES[1], 1_982_317)],
)
def test_configured_networks_have_the_published_size(
    name: str, size: tuple[int, int, int, int], num_parameters: int
) -> None:
    channels, measurements, values, _ = size
    policy = configured_policy(
        name,
        bev=(channels, 256, 256),
        measurements=(measurements,),
        value_measurements=(values,),
    )
    assert num_trainable_parameters(policy) == num_parameters
    policy.load_state_dict(released_state_dict(channels, measurements, values))


def test_convolutions_start_as_in_roach() -> None:
    policy = configured_policy(
        "roach", bev=(15, 192, 192), measurements=(6,), value_measurements=(2,)
    )
    first = policy.features_extractor.cnn[0]
    assert torch.all(first.bias == 0.1)
    # Xavier with gain sqrt(2): uniform on +-sqrt(2 * 6 / (fan_in + fan_out)).
    bound = math.sqrt(12.0 / (15 * 25 + 8 * 25))
    assert 0.95 * bound < float(first.weight.detach().abs().max()) <= bound
    assert policy.features_extractor.linear[0].in_features == 1024 + 256


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("roach", {"bev": (15, 192, 192), "measurements": (6,)}),
        ("small_cnn", {"bev": (10, 64, 64), "measurements": (8,)}),
        ("mlp", {"vector": (50,), "measurements": (8,)}),
    ],
)
def test_other_networks_act_and_learn(name: str, shapes: dict[str, tuple[int, ...]]) -> None:
    shapes = shapes | {"value_measurements": (10,)}
    policy = configured_policy(name, **shapes)
    observation = random_observation(shapes, 4)
    action, log_prob, value, _ = policy.act(observation)
    assert action.shape == (4, 2)
    assert action.abs().max() <= 1.0
    assert log_prob.shape == value.shape == (4,)
    (log_prob.sum() + value.sum()).backward()
    assert all(p.grad is not None for p in policy.parameters() if p.requires_grad)


def test_critic_alone_sees_the_privileged_values() -> None:
    shapes = {"vector": (5,), "measurements": (3,), "value_measurements": (4,)}
    policy = configured_policy("mlp", **shapes)
    observation = random_observation(shapes, 2)
    other = observation | {"value_measurements": torch.randn(2, 4)}
    torch.testing.assert_close(
        policy.distribution(observation).alpha, policy.distribution(other).alpha
    )
    assert not torch.allclose(policy.value(observation), policy.value(other))


def test_exported_state_dict_is_a_released_one(tmp_path: Path) -> None:
    spec = {
        "bev": {"shape": [10, 256, 256], "dtype": "uint8"},
        "measurements": {"shape": [8], "dtype": "float32"},
        "value_measurements": {"shape": [10], "dtype": "float32"},
    }
    shapes = {name: tuple(entry["shape"]) for name, entry in spec.items()}
    state = configured_policy("carl", **shapes).state_dict()
    save_checkpoint(tmp_path / "latest.pt", Checkpoint(state, {}, {}, spec, {"shape": [2]}))
    export_carl_state_dict(tmp_path / "latest.pt", tmp_path / "model_final.pth")
    loaded = load_policy(tmp_path / "model_final.pth")
    assert loaded.observation_spec == spec
    for name, tensor in loaded.policy.state_dict().items():
        assert torch.equal(tensor, state[name])


def test_state_dict_of_another_network_is_refused(tmp_path: Path) -> None:
    state = released_state_dict(10, 8, 10)
    state["features_extractor.cnn.1.weight"] = torch.ones(8, 94, 94)
    torch.save(state, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match="256x256"):
        load_policy(tmp_path / "model.pth")


def test_raster_too_small_for_the_encoder_is_refused() -> None:
    with pytest.raises(InstantiationException, match="too small"):
        configured_policy("carl", bev=(10, 64, 64), measurements=(8,), value_measurements=(10,))


def test_policy_for_another_observation_is_refused() -> None:
    with pytest.raises(InstantiationException, match="needs a Box 'bev'"):
        configured_policy("carl", vector=(5,), measurements=(8,), value_measurements=(10,))


SLOTS = {"slots": [3, 2, 0], "slot_size": 4, "slot_widths": [8, 6], "widths": [16]}


def set_features(num_vector: int = 25) -> tuple[SetFeatures, dict[str, Tensor]]:
    space = spaces.Dict(
        {
            "vector": spaces.Box(-2, 2, (num_vector,), np.float32),
            "measurements": spaces.Box(-2, 2, (2,), np.float32),
        }
    )
    torch.manual_seed(0)
    features = SetFeatures(space, **SLOTS)
    observation = {"vector": torch.randn(7, num_vector), "measurements": torch.randn(7, 2)}
    observation["vector"][:, 5::4] = 1.0  # five entries of the road, then slots that are filled
    return features, observation


def test_who_sits_in_which_slot_of_its_kind_makes_no_difference() -> None:
    features, observation = set_features()
    expected = features(observation)
    vector = observation["vector"]
    first, second, third = vector[:, 5:9], vector[:, 9:13], vector[:, 13:17]
    swapped = torch.cat((vector[:, :5], third, first, second, vector[:, 17:]), dim=1)
    torch.testing.assert_close(features(observation | {"vector": swapped}), expected)
    across = torch.cat((vector[:, :13], vector[:, 17:21], third, vector[:, 21:]), dim=1)
    assert (features(observation | {"vector": across}) - expected).abs().max() > 1e-3


def test_an_empty_slot_counts_for_nothing() -> None:
    features, observation = set_features()
    observation["vector"][:, 9:13] = 0.0
    expected = features(observation)
    observation["vector"][:, 10:13] = 1.7  # not filled, so nobody looks at it
    torch.testing.assert_close(features(observation), expected)
    assert features.num_road == 5


def test_slots_that_do_not_fit_in_are_refused() -> None:
    with pytest.raises(ValueError, match="vector has 19 entries, 5 slots of 4 do not fit in"):
        set_features(19)


def test_a_policy_that_is_told_more_begins_as_the_one_that_was_told_less() -> None:
    features, observation = set_features()
    torch.manual_seed(1)
    space = spaces.Dict(
        {
            "vector": spaces.Box(-2, 2, (25 + 3 + 5 * 2,), np.float32),
            "measurements": spaces.Box(-2, 2, (2,), np.float32),
        }
    )
    told = SetFeatures(space, **SLOTS | {"slot_size": 6})
    assert told.num_road == features.num_road + 3
    weights = {f"all.{name}": weight for name, weight in features.state_dict().items()}
    grown = told.grown(weights, "all.")
    told.load_state_dict({name.removeprefix("all."): weight for name, weight in grown.items()})
    vector = observation["vector"]
    slots = torch.cat((vector[:, 5:].view(7, 5, 4), torch.randn(7, 5, 2)), dim=2)
    more = torch.cat((vector[:, :5], torch.randn(7, 3), slots.view(7, -1)), dim=1)
    torch.testing.assert_close(told(observation | {"vector": more}), features(observation))
    assert grown.keys() == weights.keys()
    same = features.grown(weights, "all.")
    assert all(same[name] is weight for name, weight in weights.items())


def test_sharpening_raises_the_odds_to_a_power() -> None:
    shapes = {"vector": (5,), "measurements": (2,), "value_measurements": (3,)}
    policy = configured_policy("mlp", action_levels=[[-1.0, 0.0, 1.0], [-1.0, 1.0]], **shapes)
    observation = random_observation(shapes, 6)
    before = policy.distribution(observation)
    policy.sharpen(2.0)
    after = policy.distribution(observation)
    for old, new in zip(before.log_probs, after.log_probs, strict=True):
        odds, expected = new - new[:, :1], 2.0 * (old - old[:, :1])
        torch.testing.assert_close(odds, expected)
    assert (after.entropy() < before.entropy()).all()
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="init_sharpness is"):
            policy.sharpen(wrong)
    betas = configured_policy("mlp", **shapes)
    with pytest.raises(ValueError, match=r"a policy with policy\.action_levels"):
        betas.sharpen(2.0)
