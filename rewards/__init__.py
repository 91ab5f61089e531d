"""Driving events in, reward and episode end out; knows no simulator."""

from rewards.driving_reward import DrivingReward
from rewards.reward_breakdown import Reward, RewardBreakdown

__all__ = ["DrivingReward", "Reward", "RewardBreakdown"]
