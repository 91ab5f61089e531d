"""Runs many commands, each in a process of its own, after importing the libraries once.

`python command_host.py` reads one JSON line a command ({"module", "arguments", "folder"}) and
answers each with a line {"status", "out", "err"}. A forked child is what a fresh interpreter would
be, without the seconds that torch and numba take to load.
"""

import importlib
import json
import os
import runpy
import sys
import tempfile
import traceback
from typing import IO

for heavy in (
    "carl_planner.learner",
    "evaluation.rollout.episode_rollout",
    "sim_adapters.embedded.simulator",
):
    importlib.import_module(heavy)


def run_child(module: str, arguments: list[str], out: IO[str], err: IO[str]) -> int:
    """What `python -m module arguments` does; returns its exit status."""
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)  # noqa: T201
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def answer(request: dict) -> dict[str, int | str]:
    """Run one command and collect what a user would see of it."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = os.fork()
        if child == 0:
            os.chdir(request["folder"])
            status = run_child(request["module"], request["arguments"], out, err)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        out.seek(0)
        err.seek(0)
        return {"status": status, "out": out.read(), "err": err.read()}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)  # noqa: T201
