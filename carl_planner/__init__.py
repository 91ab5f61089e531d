"""Policy, PPO and checkpoints; sees simulators only as a gymnasium VectorEnv."""
