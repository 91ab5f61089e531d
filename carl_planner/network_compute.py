"""How a network is computed: its precision, and whether torch compiles it."""

from __future__ import annotations

import torch

from carl_planner.policy import ActorCritic

PRECISIONS = ("float32", "tf32", "bf16")
COMPILE_MODES = ("default", "reduce-overhead", "max-autotune")


def check_compute(precision: str, compile_mode: str | None) -> None:
    """Refuse what `set_compute` does not know.

    Raises:
        ValueError: another word.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"ppo.precision is {precision!r}, expected one of {', '.join(PRECISIONS)}")
    if compile_mode is not None and compile_mode not in COMPILE_MODES:
        raise ValueError(
            f"ppo.compile_mode is {compile_mode!r}, expected null or one of "
            f"{', '.join(COMPILE_MODES)}"
        )


def set_compute(policy: ActorCritic, precision: str, compile_mode: str | None) -> None:
    """Let a policy compute so from now on; weights, gradients, heads and losses stay float32.

    Args:
        policy: Changed in place; its state dict keeps its names.
        precision: "float32" is exact, on GPUs too. "tf32" lets their convolutions and products
            round inputs to 10 bits of mantissa. "bf16" runs the features that both heads share in
            bfloat16 (8 bits), with float32 sums.
        compile_mode: Of `torch.compile`, None for none; "reduce-overhead" records CUDA graphs.

    Raises:
        ValueError: another word.
    """
    check_compute(precision, compile_mode)
    # Torch's own default lets cuDNN's convolutions round to TF32 and products not
    torch.backends.cudnn.allow_tf32 = precision != "float32"
    torch.backends.cuda.matmul.allow_tf32 = precision != "float32"
    policy.features_dtype = torch.bfloat16 if precision == "bf16" else None
    if compile_mode is not None:
        policy.compile(
            mode=compile_mode
        )  # whole: one CUDA graph must not overwrite another's output
