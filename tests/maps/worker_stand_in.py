"""Stands in for a map worker in tests: waits, compiles, or burns CPU time."""

import sys
import time

from numba.core import event

from sim_adapters.maps.opendrive_worker import compilation_is_free


def burn(seconds: float) -> None:
    end_s = time.process_time() + seconds
    while time.process_time() < end_s:
        pass


def main() -> None:
    what, seconds = sys.argv[1], float(sys.argv[2])
    with compilation_is_free():
        if what == "wait":
            time.sleep(seconds)
        elif what == "compile":
            event.start_event("numba:compiler_lock")
            burn(seconds)
            event.end_event("numba:compiler_lock")
        elif what == "compile_and_burn":
            event.start_event("numba:compiler_lock")
            burn(0.5)
            event.end_event("numba:compiler_lock")
            burn(seconds)
    sys.stdout.write(sys.stdin.read())


if __name__ == "__main__":
    main()
