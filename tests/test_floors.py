"""The seams hold: structs stay narrow enough for numba."""

from sim_adapters.scene import map_bank, memory, state


def test_kernel_structs_have_at_most_ten_fields() -> None:
    for module in (map_bank, memory, state):
        for name, value in vars(module).items():
            if isinstance(value, type) and hasattr(value, "_fields"):
                assert len(value._fields) <= 10, name
