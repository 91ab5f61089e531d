"""Configuration shared by all tests."""

from hypothesis import settings

# Kernels compile inside the first example, and a run must not depend on luck
settings.register_profile("kernels", deadline=None, derandomize=True)
settings.load_profile("kernels")
