import dataclasses

from evaluation.demo import choose_drive, video_candidates
from evaluation.rollout.benchmark import make_tasks
from tests.evaluation.fake_drive import straight_scenario
from tests.evaluation.test_scores import result

SEEN, UNSEEN = straight_scenario("1", 100, "Town01"), straight_scenario("2", 100, "Town02")


def test_drives_in_towns_never_seen_are_shown():
    tasks = make_tasks([SEEN, UNSEEN], [4, 5])
    assert video_candidates(tasks, ["Town01"]) == [("2", 4), ("2", 5)]


def test_where_all_towns_were_seen_any_drive_may_be_shown():
    tasks = make_tasks([SEEN, UNSEEN], [4])
    assert video_candidates(tasks, ["Town01", "Town02"]) == [("1", 4), ("2", 4)]


def test_the_best_drive_that_may_be_shown_is_shown():
    drives = [result("1", 0, 99.0), result("2", 0, 70.0), result("3", 0, 80.0)]
    assert choose_drive(drives, [("2", 0), ("3", 0)]).route_id == "3"


def test_of_equally_good_drives_the_longest_is_shown():
    drives = [result("1"), dataclasses.replace(result("2"), length_m=1200.0), result("3")]
    assert choose_drive(drives, [("1", 0), ("2", 0), ("3", 0)]).route_id == "2"
