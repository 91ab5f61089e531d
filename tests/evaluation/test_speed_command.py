import json

import pytest

from evaluation.speed import __main__ as speed
from evaluation.speed.__main__ import (
    COMPONENTS,
    as_document,
    by_function,
    chosen_components,
    parse_arguments,
)
from evaluation.speed.environment import StageClock, stage_measurements
from evaluation.speed.stopwatch import Measurement

# The figures that the project publishes, each also a component
KEYS = [
    "env_carl_bev",
    "raster_carl_bev",
    "raster_vs_opencv",
    "env_vector",
    "agent_steps",
    "train_demo",
    "train_driver",
    "train_carl",
    "ddp_efficiency",
    "compile_s",
    "play",
    "nuplan_env",
    "val14_scenario_ms",
    "cache_read",
    "val14_vs_devkit",
    "headless_ticks",
    "headless_tm_ticks",
]


@pytest.mark.parametrize("text", ["env_vector,headless_ticks", "[env_vector, headless_ticks]"])
def test_components_are_named_with_or_without_brackets(text):
    options = parse_arguments([f"component={text}"])
    assert chosen_components(options) == ["env_vector", "headless_ticks"]


@pytest.mark.parametrize("word", ["component=warp_drive", "components=env_vector"])
def test_what_cannot_be_measured_is_refused_with_what_can(word):
    with pytest.raises(SystemExit, match=r"not understood.*\n(.*\n)*components: .*headless_ticks"):
        parse_arguments([word])


@pytest.mark.parametrize("key", KEYS)
def test_every_published_key_is_a_component(key):
    assert chosen_components(parse_arguments([f"component={key}"])) == [key]


def test_two_keys_of_one_measurement_are_measured_once():
    (names,) = by_function(["raster_carl_bev", "raster_vs_opencv", "raster_carl_bev"]).values()
    assert names == ["raster_carl_bev", "raster_vs_opencv"]


def test_the_json_holds_an_object_with_an_entry_for_each_key(monkeypatch, tmp_path, capsys):
    def stub() -> list[Measurement]:
        return [
            Measurement("raster_carl_bev.nearest", 8.0, "frames/s", 7.0, 9.0, 4.0, "small"),
            Measurement("raster_carl_bev.bilinear", 3.0, "frames/s", 2.0, 4.0, 2.5),
        ]

    monkeypatch.setitem(COMPONENTS, "raster_carl_bev", stub)
    path = tmp_path / "new" / "speed.json"
    speed.main(["component=raster_carl_bev", f"json={path}"])
    document = json.loads(path.read_text())
    assert list(document) == ["raster_carl_bev"]
    assert document["raster_carl_bev"]["nearest"] == {
        "value": 8.0,
        "unit": "frames/s",
        "low": 7.0,
        "high": 9.0,
        "floor": 4.0,
        "note": "small",
        "ceiling": None,
    }
    assert document["raster_carl_bev"]["bilinear"]["value"] == 3.0
    assert "raster_carl_bev.nearest" in capsys.readouterr().out


def test_a_key_may_hold_a_figure_and_others_below_it():
    measured = [
        Measurement("headless_ticks", 2.0, "ticks/s", 1.0, 3.0),
        Measurement("headless_ticks.server_ms", 0.2, "ms", 0.1, 0.3),
    ]
    ticks = as_document(measured)["headless_ticks"]
    assert (ticks["value"], ticks["server_ms"]["value"]) == (2.0, 0.2)


class Stages:
    """Work of 3 s in one stage and 1 s in another, of 6 s in all, on a clock set by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def draw(self) -> str:
        self.now_s += 3.0
        return "drawn"

    def judge(self) -> None:
        self.now_s += 1.0

    def step(self) -> int:
        assert self.draw() == "drawn"
        self.judge()
        self.now_s += 2.0
        return 2


def test_a_stage_has_the_time_of_its_calls_and_the_rest_has_what_is_left():
    work = Stages()
    stages = StageClock(clock=lambda: work.now_s)
    stages.watch("raster", work, "draw")
    stages.watch("reward", work, "judge")
    window = stages.window(work.step, window_s=0.0)
    assert window == {"raster": 1.5, "reward": 0.5, "rest": 1.0}  # by unit, two a step


def test_the_profile_lists_the_largest_stage_first_with_its_share():
    whole, *stages = stage_measurements([{"reward": 1e-6, "raster": 3e-6}], "at a load")
    assert (whole.key, whole.value, whole.note) == ("env_profile", 4.0, "at a load")
    assert [(m.key, m.value, m.note) for m in stages] == [
        ("env_profile.raster", 3.0, "75% of a step"),
        ("env_profile.reward", 1.0, "25% of a step"),
    ]
