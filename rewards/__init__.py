"""Driving events in, reward and episode end out; knows no simulator."""

from rewards.driving_reward import DrivingReward
from rewards.reward_breakdown import Reward, RewardBreakdown
from rewards.roach_reward import RoachReward
from rewards.survival_reward import SurvivalReward
from rewards.weighted_sum_reward import WeightedSumReward

__all__ = [
    "DrivingReward",
    "Reward",
    "RewardBreakdown",
    "RoachReward",
    "SurvivalReward",
    "WeightedSumReward",
]
