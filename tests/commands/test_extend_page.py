"""docs/extend.md as printed: its files, its commands, an empty folder and an editable install."""

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
from command_result import CROSSING, TINY_RUN, TINY_WORLD, environment, short_route
from page import page_commands, page_files

from carl_planner.metrics import read_metrics

REPOSITORY = Path(__file__).parents[2]
PAGE = "extend.md"
Runner = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Interpreter of an environment with an editable install, as `make` sets it up."""
    source = tmp_path_factory.mktemp("source")
    for package in ("carl_planner", "configs", "evaluation", "rewards", "sim_adapters"):
        shutil.copytree(
            REPOSITORY / package, source / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    # A path in a .pth file is searched, but its own .pth files (the editable install) are not read
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    interpreter = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", str(interpreter), "install", "-q")
    subprocess.run(
        [*pip, "--no-deps", "--no-index", "--no-build-isolation", "-e", str(source)], check=True
    )
    return interpreter


@pytest.fixture(scope="module")
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An otherwise empty folder that holds `my_project` with the files of the page."""
    folder = tmp_path_factory.mktemp("own")
    for name, text in page_files(PAGE).items():
        path = folder / "my_project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture(scope="module")
def run(python: Path) -> Runner:
    """`run(words, folder)`: a command of the page, its variables before it, in that folder."""

    def run_words(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
        start = words.index("python")
        variables = dict(word.split("=", 1) for word in words[:start])
        return subprocess.run(
            [str(python), *words[start + 1 :]],
            cwd=folder,
            env=environment() | {"PYTHONPATH": ""} | variables,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    return run_words


def command_with(module: str, word: str) -> list[str]:
    """The page's command that runs this module and has this word in it."""
    (found,) = (
        words for words in page_commands(PAGE) if module in words and word in " ".join(words)
    )
    return found


def test_page_prints_every_file_of_its_tree() -> None:
    assert set(page_files(PAGE)) == {
        "my_terms.py",
        "my_driver.py",
        "my_simulator.py",
        "configs/experiment/mine.yaml",
        "configs/reward/mine.yaml",
        "configs/observation/mine.yaml",
        "configs/driver/mine.yaml",
        "configs/simulator/mine.yaml",
        "configs/benchmark/mine.yaml",
    }


def test_own_experiment_trains_and_its_policy_is_evaluated(
    run: Runner, own_folder: Path, tmp_path: Path
) -> None:
    small = [word for word in TINY_RUN if not word.startswith("experiment=")]
    trained = run([*command_with("carl_planner.train", "experiment=mine"), *small], own_folder)
    assert trained.returncode == 0, trained.stdout + trained.stderr
    (folder,) = (own_folder / "outputs" / "mine").iterdir()
    assert 0.0 <= read_metrics(folder)[-1]["reward/keep_distance"] <= 1.0

    evaluate = command_with("evaluation.evaluate", "RUN_FOLDER")
    words = [word.replace("RUN_FOLDER", str(folder)) for word in evaluate]
    ends_soon = ("detector.motion.blocked_s=1", "detector.motion.blocked_speed_mps=99")
    small = [*TINY_WORLD, f"routes={short_route(tmp_path)}", *ends_soon]
    evaluated = run([*words, *small], own_folder)
    assert evaluated.returncode == 0, evaluated.stdout + evaluated.stderr
    assert list((own_folder / "outputs" / "evaluate").rglob("report.html"))


def test_own_driver_drives_the_routes_of_an_own_benchmark(
    run: Runner, own_folder: Path, tmp_path: Path
) -> None:
    words = command_with("evaluation.evaluate", "benchmark=mine")
    ends_soon = ("detector.motion.blocked_s=1", "detector.motion.blocked_speed_mps=99")
    small = [*TINY_WORLD, f"benchmark.routes={short_route(tmp_path)}", *ends_soon]
    evaluated = run([*words, *small], own_folder)
    assert evaluated.returncode == 0, evaluated.stdout + evaluated.stderr
    assert "my routes" in evaluated.stdout


def test_working_in_the_folder_itself_finds_both_folders_named_configs(
    run: Runner, own_folder: Path
) -> None:
    words = ["python", "-m", "carl_planner.train", "--config-dir", "configs", "--cfg", "job"]
    shown = run(
        [*words, "experiment=mine", "observation=mine", "policy=small_cnn"],
        own_folder / "my_project",
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "my_terms.keep_distance" in shown.stdout
    assert "BICYCLE" in shown.stdout
    assert "rewards.terminations.collision" in shown.stdout


def test_own_observation_has_its_channel(run: Runner, own_folder: Path) -> None:
    program = (
        "import hydra\n"
        "with hydra.initialize_config_dir('CONFIGS', version_base='1.3'):\n"
        "    config = hydra.compose('observation/mine', overrides=['hydra.searchpath=[pkg://configs]'])\n"
        "observer = hydra.utils.instantiate(config.observation)\n"
        "print(observer.space)\n"
    ).replace("CONFIGS", str(own_folder / "my_project" / "configs"))
    shown = run(["python", "-c", program], own_folder)
    assert shown.returncode == 0, shown.stderr
    assert "(11, 64, 64)" in shown.stdout, shown.stdout


def test_town_of_ones_own_is_drawn(run: Runner, own_folder: Path) -> None:
    words = command_with("sim_adapters.maps.picture", "my_town")
    drawn = run([word.replace("/maps/my_town.xodr", str(CROSSING)) for word in words], own_folder)
    assert drawn.returncode == 0, drawn.stdout + drawn.stderr
    assert list((own_folder / "pictures").iterdir())
