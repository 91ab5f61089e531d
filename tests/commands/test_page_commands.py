"""Every command on every page: there is such a module, and its config takes such options.

Pages that lead somewhere are run as they are printed: path.md, extend.md, python.md, what nuplan.md
says of the devkit.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module

from evaluation.drivers.driver import driver_words

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
WORD = r"'[^'\n]*'|\"[^\"\n]*\"|[^\s`|#&;]+"
COMMAND = re.compile(rf"python -m ([\w.]+\w)((?: +(?:{WORD}))*)")
LAUNCHERS = ("carl_planner.launch", "torch.distributed.run")
OVERRIDE = re.compile(r"[~+]*[\w./@]+=|~")
# Runs another program, whose flags they are
PASSES_ON = "evaluation.leaderboard_jobs.evaluator_start"
OWN_FOLDER = "extend.md"  # its commands need the folder that it makes; test_extend_page.py


def commands_with_configs() -> dict[str, str | None]:
    """Modules that run as commands, with the config that each has."""
    path = REPOSITORY / "docs" / "hooks" / "reference_pages.py"
    spec = importlib.util.spec_from_file_location("reference_pages", path)
    assert spec is not None
    assert spec.loader is not None
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    return hook.commands()


def commands_of(page: Path) -> list[tuple[str, list[str]]]:
    """Module and words of each command in blocks and sentences, behind a launcher or alone."""
    found = []
    for module, text in COMMAND.findall(page.read_text().replace("\\\n", " ")):
        words = shlex.split(text)
        if module in LAUNCHERS:
            if "-m" not in words[:-1]:
                continue  # a sentence about the launcher itself
            place = words.index("-m") + 1
            module, words = words[place], words[place + 1 :]
        found.append((module, words))
    return found


def overrides_of(words: list[str]) -> list[str]:
    """What a command's config is told; of a sweep the first value."""
    told = [word for word in driver_words(words) if OVERRIDE.match(word)]
    is_sweep = bool({"-m", "--multirun"} & set(words))
    return [word.split(",")[0] for word in told] if is_sweep else told


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_a_page_are_there_with_their_options(page: Path) -> None:
    configs = commands_with_configs()
    for module, words in commands_of(page):
        if module in ("pytest", PASSES_ON):
            continue
        assert module in configs, f"{page.name}: python -m {module} is no command"
        config = configs[module]
        if config is None:
            check_flags(module, words)
        elif page.name != OWN_FOLDER:
            with initialize_config_module("configs", version_base="1.3"):
                compose(config, overrides_of(words))


def check_flags(module: str, words: list[str]) -> None:
    """A command without a config has the flags that a page gives it."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin)
    sources = folder.parent.glob("*.py") if folder.name == "__init__.py" else [folder]
    text = "\n".join(path.read_text() for path in sources)
    for word in words:
        if word.startswith("--"):
            assert f'"{word.split("=")[0]}"' in text, f"{module} has no {word}"


def test_the_pages_hold_commands_with_and_without_launchers() -> None:
    found = [module for page in PAGES for module, _ in commands_of(page)]
    assert len(found) > 100
    assert {"carl_planner.train", "evaluation.evaluate", "evaluation.view"} <= set(found)
    words = commands_of(REPOSITORY / "docs" / "path.md")
    assert (
        "evaluation.compare",
        ["outputs/path/carl_drives", "outputs/path/no_lights_drives"],
    ) in words
