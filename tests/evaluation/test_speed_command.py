import pytest

from evaluation.speed.__main__ import chosen_components, parse_arguments


@pytest.mark.parametrize("text", ["env_vector,headless_ticks", "[env_vector, headless_ticks]"])
def test_components_are_named_with_or_without_brackets(text):
    options = parse_arguments([f"component={text}"])
    assert chosen_components(options) == ["env_vector", "headless_ticks"]


@pytest.mark.parametrize("word", ["component=warp_drive", "components=env_vector"])
def test_what_cannot_be_measured_is_refused_with_what_can(word):
    with pytest.raises(SystemExit, match=r"not understood.*\n(.*\n)*components: .*headless_ticks"):
        parse_arguments([word])
