"""Detector thresholds from code and from configs."""

import pytest

from sim_adapters.scene.events.settings import DetectorSettings, LightSettings, TtcSettings
from tests.rewards.reward_scenes import load_config


def test_the_carl_config_holds_the_defaults():
    assert load_config("detector", "carl") == DetectorSettings()


def test_the_leaderboard_config_holds_the_leaderboards_values():
    assert load_config("detector", "leaderboard") == DetectorSettings.leaderboard()


def test_whole_numbers_from_a_config_become_floats():
    settings = load_config("detector", "carl", "detector.light.range_m=40")
    assert settings.light.range_m == 40.0
    assert isinstance(settings.light.range_m, float)
    assert settings == DetectorSettings(light=LightSettings(range_m=40))


def test_half_a_tick_is_refused():
    with pytest.raises(ValueError, match=r"hold_ticks is 0\.5, expected int"):
        DetectorSettings(ttc=TtcSettings(hold_ticks=0.5))  # type: ignore[arg-type]


def test_an_unknown_threshold_is_refused():
    with pytest.raises(Exception, match="range"):
        load_config("detector", "carl", "+detector.light.range=40")
