"""Jobs that note how often they were begun and ended."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from evaluation.jobs.command_job import CommandJob, JobEngine

ROOT = Path(__file__).parents[3]
# Notes each start and each end in a line; the result appears at once and whole
WORK = """
import os, sys, time
open("starts", "a").write(f"{os.getpid()}\\n")
time.sleep(float(sys.argv[1]))
open("ends", "a").write("end\\n")
open("part", "w").write(sys.argv[2])
os.replace("part", "result")
"""


def make_jobs(folder: Path, number: int, duration_s: float) -> list[CommandJob]:
    jobs = []
    for k in range(number):
        (folder / f"job_{k}").mkdir()
        words = ("python", "-c", WORK, str(duration_s), str(k * k))
        jobs.append(CommandJob(f"job {k}", words, folder / f"job_{k}", "result"))
    return jobs


def lines(job: CommandJob, name: str) -> list[str]:
    path = job.folder / name
    return path.read_text().splitlines() if path.is_file() else []


def has_ended(pid: int) -> bool:
    """Whether a process runs no more; init may take its time to collect one without a parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def run_all(engine: JobEngine, jobs: list[CommandJob], stop: threading.Event) -> list[str]:
    with ThreadPoolExecutor(len(jobs)) as threads:
        return list(threads.map(lambda job: engine.run(job, stop), jobs))


def wait_for(condition: Callable[[], bool], limit_s: float = 120.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
