"""Neighbours of the ego, counted by hand, and compared between folders."""

from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.calibration.neighbours import FIGURES, compare_neighbours, main, neighbours
from evaluation.recording.episode import RecordedEpisode
from evaluation.recording.folder import EpisodeFolder
from tests.evaluation.recording.drives import STEPS, small_drive


def _figures(episode: RecordedEpisode) -> dict[str, float]:
    return dict(zip(FIGURES, neighbours(episode).figures * STEPS, strict=True))


def test_an_oncoming_car_is_counted_where_it_is_near() -> None:
    """It is 50 - 2 j m ahead and 3.5 m to the left in its step j, of 0 to 19."""
    figures = _figures(small_drive())
    assert figures.pop("within 50 m") == pytest.approx(19)  # not at 50.1 m
    assert figures.pop("within 20 m") == pytest.approx(4)  # 18, 16, 14 and 12 m ahead
    assert figures.pop("oncoming") == pytest.approx(19)
    assert set(figures.values()) == {0.0}


def test_a_car_that_stands_in_the_ego_s_direction_is_ahead_then_behind() -> None:
    drive = small_drive()
    tracks = drive.tracks
    x, yaw, speed = tracks.x.copy(), tracks.yaw_rad.copy(), tracks.speed_mps.copy()
    car = slice(STEPS, STEPS + 20)  # while the ego goes from 10 to 29 m
    x[car], yaw[car], speed[car] = 19.5, 0.0, 0.0
    figures = _figures(replace(drive, tracks=tracks._replace(x=x, yaw_rad=yaw, speed_mps=speed)))
    assert figures["ahead, lanes beside"] == pytest.approx(10)  # from 9.5 to 0.5 m
    assert figures["behind, lanes beside"] == pytest.approx(10)
    assert figures["of these standing"] == figures["within 50 m"] == pytest.approx(20)
    assert figures["ahead, own lane"] == figures["oncoming"] == 0.0


def test_folders_are_compared_on_the_routes_that_all_of_them_drove(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, routes in (("first", ("7", "8")), ("second", ("7", "9"))):
        for route in routes:
            EpisodeFolder(tmp_path / name).write(small_drive(route=route))
    table = compare_neighbours([tmp_path / "first", tmp_path / "second"])
    assert table.row_count == len(FIGURES)
    main([str(tmp_path / "first"), str(tmp_path / "second")])
    assert "Flatland" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="no recorded drive"):
        main([str(tmp_path)[:-1] + "_none"])
    EpisodeFolder(tmp_path / "third").write(small_drive(route="5"))
    with pytest.raises(SystemExit, match="no route is in all"):
        main([str(tmp_path / "first"), str(tmp_path / "third")])
