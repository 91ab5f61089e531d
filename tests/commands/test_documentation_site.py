"""The documentation's site: every page in its menu, every command in its reference, no warnings."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
HOOK = DOCS / "hooks" / "reference_pages.py"


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference_pages", HOOK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_is_in_the_menu_once() -> None:
    menu = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text())["nav"]
    listed = re.findall(r"[\w/]+\.md", str(menu))
    written = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    generated = {"reference/commands.md", "reference/configuration.md", "notebook.md"}
    assert sorted(listed) == sorted(written | generated)


def test_reference_names_commands_with_their_keys(hook: ModuleType) -> None:
    commands = hook.commands()
    assert commands["carl_planner.train"] == "train"
    assert commands["evaluation.play"] == "play"
    assert commands["evaluation.compare"] is None
    assert not any("worker" in name for name in commands)
    page = hook.commands_page()
    assert "| `seed` | `0` |  |" in page
    assert "| `save_interval_s` | `120` | between resumable checkpoints [s] |" in page


def test_reference_holds_every_option_of_every_group(hook: ModuleType) -> None:
    page = hook.configuration_page()
    assert "### reward=carl\n" in page
    assert "tolerance_mps: 2.23" in page
    options = [path for path in (REPOSITORY / "configs").glob("*/**/*.yaml")]
    assert page.count("\n### ") == len(options)


def test_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: make docs installs it")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        for tag in re.findall(r"<(?:script|img|link rel=\"stylesheet\")[^>]*>", page.read_text()):
            assert not re.search(r"(?:src|href)=\"?(?:https?:)?//", tag), (page.name, tag)
