"""torchrun with a short end: `python -m carl_planner.launch --nproc_per_node=2 -m MODULE ...`.

Takes torchrun's words. Where a process ends with an error, torchrun prints fifty lines of its own
around the one that says why; here that one is the last. A failure that no process has explained is
named with its exit status.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main as torchrun

REPORTED = 1  # exit status of a process that has said why; other ones may have ended without a word


def main(words: Sequence[str] | None = None) -> None:
    """Run torchrun; SystemExit with the status of the process that failed first.

    Args:
        words: As torchrun takes them; those of the command line by default.
    """
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    try:
        torchrun(list(words) if words is not None else None)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode == REPORTED:
            raise SystemExit(REPORTED) from None
        raise SystemExit(
            f"error: rank {rank} ended with status {failure.exitcode}"
            + (f" (signal {-failure.exitcode})" if failure.exitcode < 0 else "")
        ) from None


if __name__ == "__main__":
    sys.argv[0] = "carl_planner.launch"
    main()
