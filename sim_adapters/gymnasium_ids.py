"""Makes the environment's id known to gymnasium as soon as `sim_adapters` is imported.

Gymnasium 1.0 gave up entry-point plugins: an import registers, here as in every other package.
The classes behind the id are imported when an environment is made.
"""

from gymnasium.envs.registration import register

EMBEDDED_ID = "CarlPlanner/Embedded-v0"

register(
    EMBEDDED_ID,
    entry_point="sim_adapters.gymnasium_envs:DrivingEnv",
    vector_entry_point="sim_adapters.gymnasium_envs:make_embedded_vec",
    disable_env_checker=True,
)
