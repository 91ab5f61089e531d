"""Gradients of a network as views into one flat buffer."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn


class FlatGradients:
    """Gives all trainable parameters gradients that are slices of `flat`.

    Zeroing, averaging over ranks and clipping then take one operation each.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        trainable = [parameter for parameter in parameters if parameter.requires_grad]
        total = sum(parameter.numel() for parameter in trainable)
        self.flat = torch.zeros(total, device=trainable[0].device)
        offset = 0
        for parameter in trainable:
            # Same strides as the parameter: channels_last kernels keep their layout.
            parameter.grad = self.flat.as_strided(parameter.shape, parameter.stride(), offset)
            offset += parameter.numel()

    def zero(self) -> None:
        """Forget all gradients; the slices stay in place."""
        self.flat.zero_()

    def clip_norm(self, max_norm: float) -> float:
        """Scale down to a global L2 norm of at most `max_norm`; returns the norm before."""
        norm = float(torch.linalg.vector_norm(self.flat))
        if norm > max_norm:
            self.flat.mul_(max_norm / (norm + 1e-6))
        return norm
