"""A driver of parts that writes its units down, except where it is told to fail."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from evaluation.scoring.results_file import write_json


def drive(config: DictConfig, units: Sequence[str], folder: Path) -> None:
    with (Path(config.output) / "starts").open("a") as file:
        file.write(" ".join(units) + "\n")
    broken = Path(config.output) / "broken"
    if broken.is_file() and broken.read_text() in units:
        raise RuntimeError("this part fails")
    write_json(folder / "result.json", {"units": list(units), "relative": Path("here").is_file()})
