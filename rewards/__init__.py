"""Driving events in, reward and episode end out; knows no simulator."""

from rewards.driving_reward import DrivingReward
from rewards.nuplan_rewards import SurvivalReward, WeightedSumReward
from rewards.reward_terms import Reward, RewardBreakdown
from rewards.roach_reward import RoachReward

__all__ = [
    "DrivingReward",
    "Reward",
    "RewardBreakdown",
    "RoachReward",
    "SurvivalReward",
    "WeightedSumReward",
]
