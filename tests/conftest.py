"""Configuration shared by all tests."""

import os

from hypothesis import settings

# One thread a process, set before torch starts its pool: sums keep one order in this process and
# in the commands it starts, and a busy machine is not made busier.
os.environ["OMP_NUM_THREADS"] = "1"

# Kernels compile inside the first example, and a run must not depend on luck
settings.register_profile("kernels", deadline=None, derandomize=True)
settings.load_profile("kernels")
