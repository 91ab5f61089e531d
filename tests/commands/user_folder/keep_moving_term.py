"""A reward term of a user's own folder, as docs/extend.md tells to write one."""

from torch import Tensor

from rewards.driving_events import DrivingEvents


def keep_moving(events: DrivingEvents, *, full_speed_mps: float) -> Tensor:
    """Factor in [0, 1] that grows with the speed."""
    return (events.speed_mps / full_speed_mps).clamp(0.0, 1.0)
