"""The queue of an official run: what fails comes again, what is done stays done."""

import threading
from collections import Counter
from pathlib import Path

import pytest

from evaluation.leaderboard_jobs.far_drive import ServedDrive
from evaluation.leaderboard_jobs.job import JobEnd, JobQueue, RouteJob, make_jobs, read_record
from tests.evaluation.leaderboard.official_records import write_record


class FakeServer:
    """Counts its starts and stops."""

    log: Counter[str]

    def __init__(self, log: Counter[str], number: int, *, breaks: bool = False) -> None:
        self.log, self.number, self.breaks = log, number, breaks

    @property
    def port(self) -> int:
        return 2000 + 10 * self.number

    @property
    def tm_port(self) -> int:
        return self.port + 5

    def start(self) -> None:
        self.log["start"] += 1
        if self.breaks:
            raise RuntimeError("the port is taken")

    def stop(self) -> None:
        self.log["stop"] += 1


@pytest.fixture
def jobs(tmp_path: Path) -> list[RouteJob]:
    return make_jobs([(str(k), "Town01") for k in range(5)], range(1), tmp_path)


def drive(job: RouteJob, port: int, tm_port: int, stop: threading.Event) -> tuple[JobEnd, str]:
    write_record(job)
    return JobEnd.DONE, ""


def make_queue(
    jobs: list[RouteJob], run_job, log: Counter[str] | None = None, **options
) -> JobQueue:
    log = Counter() if log is None else log
    options = {"num_drives": 2, "max_attempts": 2} | options
    drive = ServedDrive(lambda number, job: FakeServer(log, number), run_job)
    return JobQueue(jobs, drive, **options)


def test_every_job_is_driven_once_on_a_server_of_its_own(jobs):
    log: Counter[str] = Counter()
    outcome = make_queue(jobs, drive, log).run()
    assert sorted(attempt.job.route_id for attempt in outcome.attempts) == list("01234")
    assert not outcome.missing
    assert log == {"start": 5, "stop": 5}


def test_jobs_with_a_record_are_not_driven_again(jobs):
    write_record(jobs[3])
    queue = make_queue(jobs, drive)
    assert queue.num_resumed == 1
    assert "3" not in [attempt.job.route_id for attempt in queue.run().attempts]


def test_a_crashed_record_does_not_count_as_done(jobs):
    write_record(jobs[3], status="Failed - Simulation crashed")
    assert make_queue(jobs, drive).num_resumed == 0


def test_a_crash_goes_to_the_back_and_is_driven_again(jobs):
    tried: list[str] = []

    def crash_first(job, port, tm_port, stop):
        tried.append(job.route_id)
        if job.route_id == "0" and tried.count("0") == 1:
            return JobEnd.CRASHED, "segmentation fault"
        return drive(job, port, tm_port, stop)

    outcome = make_queue(jobs, crash_first, num_drives=1).run()
    assert tried == ["0", "1", "2", "3", "4", "0"]
    assert not outcome.missing


def test_a_job_that_never_works_is_missing_with_its_last_reason(jobs):
    def hang(job, port, tm_port, stop):
        return (JobEnd.HUNG, "silent for 9 s") if job.route_id == "2" else drive(job, port, 0, stop)

    outcome = make_queue(jobs, hang, max_attempts=3).run()
    assert {job.route_id: reason for job, reason in outcome.missing.items()} == {
        "2": "silent for 9 s"
    }
    assert sum(attempt.job.route_id == "2" for attempt in outcome.attempts) == 3


def test_a_server_that_does_not_start_counts_as_an_attempt_and_is_stopped(jobs):
    log: Counter[str] = Counter()
    queue = JobQueue(
        jobs[:1],
        ServedDrive(lambda number, job: FakeServer(log, number, breaks=True), drive),
        num_drives=1,
        max_attempts=2,
    )
    outcome = queue.run()
    assert list(outcome.missing.values()) == ["server: the port is taken"]
    assert log == {"start": 2, "stop": 2}


def test_stop_ends_the_run_and_what_was_not_tried_is_missing(jobs):
    def stop_all(job, port, tm_port, stop):
        stop.set()
        return JobEnd.STOPPED, "stopped from outside"

    outcome = make_queue(jobs, stop_all, num_drives=1).run()
    assert len(outcome.attempts) == 1
    assert len(outcome.missing) == 5
    assert outcome.missing[jobs[4]] == "not tried"


def test_an_unexpected_error_travels_on_and_ends_the_other_threads(jobs):
    def waits_or_breaks(job, port, tm_port, stop):
        if job.route_id == "0":
            raise KeyError("a bug")
        assert stop.wait(30.0), "nobody told this thread to stop"
        return JobEnd.STOPPED, ""

    with pytest.raises(KeyError, match="a bug"):
        make_queue(jobs, waits_or_breaks).run()


def test_each_seed_is_a_drive_of_its_own(tmp_path):
    jobs = make_jobs([("7", "Town02")], range(3, 6), tmp_path)
    assert [job.seed for job in jobs] == [3, 4, 5]
    assert len({job.folder for job in jobs}) == 3


def test_a_record_of_another_route_is_none(tmp_path):
    job, other = make_jobs([("7", "Town02"), ("8", "Town02")], range(1), tmp_path)
    write_record(other)
    job.folder.mkdir()
    job.record_file.write_text(other.record_file.read_text())
    assert read_record(job) is None


def test_a_half_written_record_is_none(tmp_path):
    (job,) = make_jobs([("7", "Town02")], range(1), tmp_path)
    write_record(job)
    job.record_file.write_text(job.record_file.read_text()[:-20])
    assert read_record(job) is None
