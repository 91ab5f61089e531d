import dataclasses
import json
import logging
import re
from importlib.resources import files
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from omegaconf import DictConfig

from carl_planner.checkpoint import load_checkpoint, save_checkpoint
from evaluation import demo
from sim_adapters import source_files

SHIPPED = Path(str(files("carl_planner.pretrained"))) / "driver.pt"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DictConfig:
    """The demo on one route, with one yardstick, and with the shipped policy as trained."""
    trained = tmp_path / "training" / "model_final.pt"
    trained.parent.mkdir()
    progress = {"samples": 1000, "elapsed_s": 9.0}
    save_checkpoint(trained, dataclasses.replace(load_checkpoint(SHIPPED), progress=progress))
    monkeypatch.setattr(demo, "train", lambda config, folder: trained)
    monkeypatch.setattr(demo, "read_metrics", lambda folder: [])
    text = (files("evaluation.routes") / "demo_heldout.xml").read_text()
    route = re.search(r'<route [^>]*town="Town02".*?</route>', text, re.DOTALL)
    assert route is not None
    (tmp_path / "one.xml").write_text(f"<routes>{route[0]}</routes>")
    overrides = [f"output={tmp_path / 'demo'}", f"benchmark.routes={tmp_path / 'one.xml'}"]
    overrides += ["~driver@yardsticks.idm", "~driver@yardsticks.blind_follower"]
    with initialize_config_module("configs", version_base="1.3"):
        return compose("demo", overrides=overrides)


def test_a_second_demo_drives_nothing_and_says_so(config, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    first = demo.run_demo(config)
    folder = Path(config.output)
    assert re.match(r"the trained policy, \d+ of 100 points: ", caplog.messages[-4])
    assert caplog.messages[-3] == f"open {(folder / 'report.html').as_uri()}"
    assert f"play checkpoint={folder.parent / 'training'} " in caplog.messages[-1]
    assert caplog.messages[-4] in (folder / "report.html").read_text()
    video = (folder / "drive.mp4").stat().st_mtime_ns

    caplog.clear()
    drive_routes, driven = demo.drive_routes, []
    monkeypatch.setattr(
        demo,
        "drive_routes",
        lambda worlds, driver, *rest: (
            driven.append(driver.name) or drive_routes(worlds, driver, *rest)
        ),
    )
    assert demo.run_demo(config) == first
    assert driven == []
    assert (folder / "drive.mp4").stat().st_mtime_ns == video
    for name in ("untrained", "trained", "constant_speed"):
        assert f"{name} has driven already: {folder / name}" in caplog.messages

    # A planner whose drives were lost drives again, the others do not
    next((folder / "constant_speed" / "drives").glob("*.episode")).unlink()
    demo.run_demo(config)
    assert driven == ["constant_speed"]


def test_the_digest_holds_the_code_that_drives(config, monkeypatch):
    code = source_files.code_digest
    seen = set()
    monkeypatch.setattr(
        "evaluation.demo_run.drives.code_digest",
        lambda file, packages: seen.add(Path(file).name) or code(file, packages),
    )
    config.train_minutes, plain = 3, demo.drives_digest(config, [], SHIPPED)
    assert {"demo.py", "simulator.py"} <= seen
    config.train_minutes = 4  # decides the checkpoint, and nothing else
    assert demo.drives_digest(config, [], SHIPPED) == plain
    config.simulator.traffic.num_vehicles += 1
    assert demo.drives_digest(config, [], SHIPPED) != plain
    config.simulator.traffic.num_vehicles -= 1
    config.seed = 5  # of the untrained policy, too
    assert demo.drives_digest(config, [], SHIPPED) != plain


def test_a_damaged_summary_is_no_finished_demo(tmp_path):
    assert not demo.is_all_done(tmp_path, "a")
    (tmp_path / "summary.json").write_text("{")
    assert not demo.is_all_done(tmp_path, "a")
    (tmp_path / "summary.json").write_text(json.dumps({"made_from": "a"}))
    assert demo.is_all_done(tmp_path, "a")
