"""Feature extractors: from an observation to the features that policy and value head share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from gymnasium import spaces
from torch import Tensor, nn

Observation = Mapping[str, Tensor]


def mlp(num_inputs: int, widths: Sequence[int], *, layer_norm: bool) -> nn.Sequential:
    """Linear layers, each followed by optional layer norm and ReLU."""
    layers: list[nn.Module] = []
    for width in widths:
        layers.append(nn.Linear(num_inputs, width))
        if layer_norm:
            layers.append(nn.LayerNorm(width))
        layers.append(nn.ReLU())
        num_inputs = width
    return nn.Sequential(*layers)


def box_of(space: spaces.Dict, name: str) -> spaces.Box:
    """The entry `name` of an observation space, or a clear error."""
    entry = space.spaces.get(name)
    if not isinstance(entry, spaces.Box):
        raise ValueError(
            f"the observation holds {sorted(space.spaces)}, this policy needs a Box '{name}': "
            "choose policy and observation that belong together"
        )
    return entry


class ImageFeatures(nn.Module):
    """CNN over `bev` and MLP over `measurements`, fused by an MLP.

    Args:
        observation_space: Single driver's space with `bev` (C, H, W) and `measurements`.
        cnn: Builds the encoder for a (C, H, W).
        state_widths: Layers over the measurements.
        fusion_widths: Layers over encoder and measurements; the last is the number of features.
        layer_norm: Normalise after each linear layer.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        *,
        cnn: Callable[[Sequence[int]], nn.Module],
        state_widths: Sequence[int] = (256, 256),
        fusion_widths: Sequence[int] = (512, 256),
        layer_norm: bool = True,
    ) -> None:
        super().__init__()
        image_shape = box_of(observation_space, "bev").shape
        num_measurements = box_of(observation_space, "measurements").shape[0]
        # Registered in this order: it is the order of parameters in a released Adam state.
        self.cnn = cnn(image_shape)
        with torch.no_grad():
            num_image_features = self.cnn(torch.zeros(1, *image_shape, dtype=torch.uint8)).shape[1]
        num_joint = num_image_features + state_widths[-1]
        self.linear = mlp(num_joint, fusion_widths, layer_norm=layer_norm)
        self.state_linear = mlp(num_measurements, state_widths, layer_norm=layer_norm)
        self.num_features = fusion_widths[-1]

    def forward(self, observation: Observation) -> Tensor:
        """Features, shape (N, num_features)."""
        image = self.cnn(observation["bev"])
        state = self.state_linear(observation["measurements"])
        return self.linear(torch.cat((image, state), dim=1))


class VectorFeatures(nn.Module):
    """MLP over `vector` and `measurements` together.

    Args:
        observation_space: Single driver's space with `vector` and `measurements`.
        widths: Layers; the last is the number of features.
        layer_norm: Normalise after each linear layer.
    """

    def __init__(
        self, observation_space: spaces.Dict, *, widths: Sequence[int], layer_norm: bool = True
    ) -> None:
        super().__init__()
        num_inputs = sum(
            box_of(observation_space, name).shape[0] for name in ("vector", "measurements")
        )
        self.linear = mlp(num_inputs, widths, layer_norm=layer_norm)
        self.num_features = widths[-1]

    def forward(self, observation: Observation) -> Tensor:
        """Features, shape (N, num_features)."""
        return self.linear(torch.cat((observation["vector"], observation["measurements"]), dim=1))


class SetFeatures(nn.Module):
    """MLP over `vector` and `measurements` whose last entries are slots of actors, pooled by kind.

    The slots of a kind share one small MLP, and the largest value over them goes on: who sits in
    which slot makes no difference, and an empty one counts for nothing. Source: PointNet (Qi et
    al. 2017).

    Args:
        observation_space: Single driver's space with `vector` and `measurements`.
        slots: Slots of each kind, in the order in which they stand at the end of `vector`.
        slot_size: Features of a slot; the first says whether it is filled, 1 or 0.
        slot_widths: Layers over a slot; the last is what a kind adds to the features of the rest.
        widths: Layers over everything; the last is the number of features.
        layer_norm: Normalise after each linear layer of `widths`.

    Raises:
        ValueError: `vector` is too short for these slots.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        *,
        slots: Sequence[int],
        slot_size: int,
        slot_widths: Sequence[int],
        widths: Sequence[int],
        layer_norm: bool = True,
    ) -> None:
        super().__init__()
        self.slots, self.slot_size = tuple(slots), slot_size
        num_vector = box_of(observation_space, "vector").shape[0]
        self.num_road = num_vector - slot_size * sum(self.slots)
        if self.num_road < 0:
            raise ValueError(
                f"vector has {num_vector} entries, {sum(self.slots)} slots of {slot_size} do not "
                "fit in: choose policy and observation that belong together"
            )
        self.encoders = nn.ModuleList(
            mlp(slot_size, slot_widths, layer_norm=False) for number in self.slots if number
        )
        num_measurements = box_of(observation_space, "measurements").shape[0]
        num_inputs = self.num_road + num_measurements + slot_widths[-1] * len(self.encoders)
        self.linear = mlp(num_inputs, widths, layer_norm=layer_norm)
        self.num_features = widths[-1]

    def forward(self, observation: Observation) -> Tensor:
        """Features, shape (N, num_features)."""
        vector = observation["vector"]
        parts = [vector[:, : self.num_road], observation["measurements"]]
        first = self.num_road
        for number, encoder in zip(filter(None, self.slots), self.encoders, strict=True):
            last = first + number * self.slot_size
            rows = vector[:, first:last].reshape(-1, self.slot_size)
            # The layers end in ReLU: a row of zeros is the least there is
            encoded = encoder(rows) * rows[:, :1]
            parts.append(encoded.view(-1, number, encoded.shape[1]).amax(1))
            first = last
        return self.linear(torch.cat(parts, dim=1))

    def grown(self, weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
        """Weights of a policy whose slots and road said less, as this one's: new inputs count 0.

        So the grown policy acts as the one it comes from. Source: Net2Net (Chen et al. 2016).

        Args:
            weights: Of a policy whose rows are these without the last features of each slot, and
                without the last ones of the road. Other weights stay as they are given.
            prefix: Of the names of this module's weights among them.
        """
        grown, state = dict(weights), self.state_dict(prefix=prefix)
        for name in (f"{prefix}linear.0.weight", *_slot_inputs(state, prefix)):
            old, end = weights.get(name), self.num_road if "linear" in name else self.slot_size
            if old is None or old.ndim != 2 or len(old) != len(state[name]):
                continue
            more = state[name].shape[1] - old.shape[1]
            if 0 < more <= end:
                zeros = old.new_zeros(len(old), more)
                grown[name] = torch.cat((old[:, : end - more], zeros, old[:, end - more :]), dim=1)
        return grown


def _slot_inputs(names: Iterable[str], prefix: str) -> list[str]:
    pattern = re.compile(re.escape(prefix) + r"encoders\.\d+\.0\.weight")
    return [name for name in names if pattern.fullmatch(name)]
