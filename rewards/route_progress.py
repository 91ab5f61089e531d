"""Progress along the route, the one thing that CaRL pays for."""

from __future__ import annotations

from torch import Tensor

from rewards.driving_events import DrivingEvents


def route_progress(events: DrivingEvents, *, scale: float = 1.0) -> Tensor:
    """Route completion gained in this step, times `scale`.

    Returns:
        Percent of the route, >= 0, shape (E,). A whole episode sums to at most 100 x `scale`.

    Source: CaRL, reward = progress x product of factors + terminal reward.
    """
    return events.route_percent_gained * scale
