"""Simulators that fill a SceneBatch, and everything that judges or sees the scene."""

import sim_adapters.gymnasium_ids
import sim_adapters.kernel_cache  # noqa: F401  (must precede every kernel's definition)
