"""A long evaluation in parts, each a command on an engine.

`python -m evaluation.jobs.parts FOLDER` drives the part whose order lies in a folder. A part is
done when its result lies there, so an evaluation that was stopped goes on with the parts that are
missing, on another engine too.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from evaluation.jobs.command_job import PYTHON, CommandJob, JobEngine, LocalEngine
from sim_adapters.atomic_file import write_atomically

log = logging.getLogger(__name__)
PARTS_FOLDER, ORDER_FILE = "parts", "order.json"


class Parts:
    """Parts of one evaluation, below its output folder.

    Args:
        config: Composed; `jobs` is the engine, `num_parts` how many there are (the units may be
            fewer), `attempts` how often each is tried.
        units: What is driven, by names that mean the same in every process.
        driver: `module:function` that drives a part: called with the config, the part's units and
            the part's folder, into which it writes `result`.
        result: File, written last and whole.
        about: What is evaluated; parts of anything else are thrown away.

    Raises:
        ValueError: not even one part.
    """

    def __init__(
        self,
        config: DictConfig,
        units: Sequence[str],
        *,
        driver: str,
        result: str,
        about: dict[str, Any],
    ) -> None:
        if config.num_parts < 1 or config.attempts < 1:
            raise ValueError("num_parts and attempts are at least 1")
        self._config, self._result = config, result
        self.folder = Path(config.output).absolute() / PARTS_FOLDER
        container = OmegaConf.to_container(config, resolve=False)
        assert isinstance(container, dict)
        plain = OmegaConf.create(container | {"jobs": None, "output": str(self.folder.parent)})
        number = min(config.num_parts, len(units))
        self._orders = [
            {
                "driver": driver,
                "units": list(units[i::number]),
                "about": about,
                "working_folder": str(Path.cwd()),
                "config": OmegaConf.to_yaml(plain),
            }
            for i in range(number)
        ]
        self._jobs = [self._job(i, number) for i in range(number)]

    def _job(self, index: int, number: int) -> CommandJob:
        folder = self.folder / f"part_{index:03}"
        command = (PYTHON, "-m", "evaluation.jobs.parts", str(folder))
        return CommandJob(f"part {index + 1} of {number}", command, folder, self._result)

    @property
    def is_resumed(self) -> bool:
        """Whether the orders of these very parts lie there already."""
        files = [job.folder / ORDER_FILE for job in self._jobs]
        if not all(file.is_file() for file in files):
            return False
        return [json.loads(file.read_text()) for file in files] == self._orders

    def drive(self) -> list[Path]:
        """Drive all parts that are not done; returns the folders of all of them, in order.

        Raises:
            ValueError: a part has no result after all attempts; says where its output is.
        """
        if not self.is_resumed:
            self.clear()
            for job, order in zip(self._jobs, self._orders, strict=True):
                job.folder.mkdir(parents=True)
                text = json.dumps(order, indent=2) + "\n"
                write_atomically(job.folder / ORDER_FILE, text.encode())
        waiting = [job for job in self._jobs if not job.is_done]
        log.info(
            "%d parts, %d of them done already", len(self._jobs), len(self._jobs) - len(waiting)
        )
        engine: JobEngine = instantiate(self._config.jobs)
        with closing(engine):
            problems = self._run(engine, waiting)
        if problems:
            raise ValueError(
                f"{len(problems)} of {len(self._jobs)} parts have no result: "
                f"{'; '.join(problems)}. The same command again drives what is missing"
            )
        return [job.folder for job in self._jobs]

    def clear(self) -> None:
        """Remove all parts."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, engine: JobEngine, jobs: Sequence[CommandJob]) -> list[str]:
        """Why jobs have no result, after all attempts; an engine that queues gets all at once."""
        if not jobs:
            return []
        at_once = os.cpu_count() or 1 if isinstance(engine, LocalEngine) else len(jobs)
        stop = threading.Event()
        with ThreadPoolExecutor(min(at_once, len(jobs))) as threads:
            attempts = [threads.submit(self._attempt, engine, job, stop) for job in jobs]
            try:
                return [problem for attempt in attempts if (problem := attempt.result())]
            finally:  # Ctrl-C, or an error of ours: what runs ends, what waits does not begin
                stop.set()

    def _attempt(self, engine: JobEngine, job: CommandJob, stop: threading.Event) -> str:
        problem = "not tried"
        for number in range(1, self._config.attempts + 1):
            if stop.is_set():
                return problem
            problem = engine.run(job, stop)
            os.listdir(job.folder)  # has a network file system look for what others wrote
            if job.is_done:
                log.info("%s is done", job.name)
                return ""
            log.warning("%s, attempt %d: %s", job.name, number, problem or "no result")
        return f"{job.name} ({problem or 'no result'})"


def drive_part(folder: Path) -> None:
    """Carry out the order in a part's folder."""
    order = json.loads((folder / ORDER_FILE).read_text())
    os.chdir(order["working_folder"])  # where relative paths of the config begin
    sys.path.insert(0, order["working_folder"])
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    module, _, function = order["driver"].partition(":")
    config = OmegaConf.create(order["config"])
    getattr(import_module(module), function)(config, order["units"], folder)


if __name__ == "__main__":
    drive_part(Path(sys.argv[1]))
