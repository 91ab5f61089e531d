"""The wheel holds what a user needs and nothing else, and works away from the checkout."""

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from command_result import environment

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("carl_planner", "configs", "evaluation", "rewards", "sim_adapters")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the sources, so that no build folder of the checkout plays a part."""
    source = tmp_path_factory.mktemp("source")
    for package in (*PACKAGES, "tests"):
        ignored = shutil.ignore_patterns("__pycache__", "*.nbi", "*.nbc")
        shutil.copytree(REPOSITORY / package, source / package, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    built = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    output = built.stdout + built.stderr
    assert "Deprecat" not in output
    assert not [line for line in output.splitlines() if "Warning" in line]
    (path,) = (source / "dist").glob("carl_planner-*-py3-none-any.whl")
    return path


def test_wheel_holds_every_file_of_the_packages_and_no_other(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    source = wheel.parents[1]
    expected = {
        path.relative_to(source).as_posix()
        for package in PACKAGES
        for path in (source / package).rglob("*")
        if path.is_file()
    }
    assert names == expected


def test_wheel_holds_configs_routes_templates_and_type_markers(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for name in (
        "configs/train.yaml",
        "configs/experiment/demo.yaml",
        "evaluation/routes/embedded36.xml",
        "evaluation/report/templates/page.html.j2",
        "sim_adapters/py.typed",
    ):
        assert name in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any("test" in name.split("/")[0] for name in names)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the scripts of an environment with this wheel and the tests' own dependencies."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    # A path in a .pth file is searched, but its own .pth files (the editable install) are not read
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    pip = (sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"))
    subprocess.run([*pip, "install", "-q", "--no-deps", "--no-index", str(wheel)], check=True)
    return folder / "bin"


def run_installed(scripts: Path, command: str, *arguments: str) -> str:
    """Output of a command of the environment, run far from the checkout."""
    result = subprocess.run(
        [str(scripts / command), *arguments],
        cwd=scripts,
        env=environment() | {"PYTHONPATH": ""},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.slow
def test_installed_commands_show_their_help(installed: Path) -> None:
    where = run_installed(installed, "python", "-c", "import configs; print(configs.__file__)")
    assert str(installed.parent) in where
    assert "experiment: carl_embedded, demo" in run_installed(installed, "carl-train", "--help")
    assert "benchmark: demo, embedded36, longest6" in run_installed(
        installed, "carl-evaluate", "--help"
    )
    assert "towns" in run_installed(installed, "carl-doctor")


@pytest.mark.slow
def test_installed_train_composes_the_demo(installed: Path) -> None:
    shown = run_installed(installed, "carl-train", "experiment=demo", "--cfg", "job", "--resolve")
    assert "sim_adapters.observation.vector.VectorObserver" in shown


@pytest.mark.slow
def test_gymnasium_makes_the_environment_of_the_installed_package(installed: Path) -> None:
    small = ["simulator.traffic.num_vehicles=2", "simulator.max_vehicles=4"]
    program = (
        "import gymnasium, sim_adapters\n"
        f"envs = gymnasium.make_vec('CarlPlanner/Embedded-v0', num_envs=2, overrides={small})\n"
        "envs.reset(seed=1)\n"
        "print(envs.step(envs.action_space.sample())[1].shape)\n"
    )
    assert run_installed(installed, "python", "-c", program).strip() == "(2,)"
