"""Watch recorded drives: `python -m evaluation.view FOLDER [FOLDER ...]`.

Writes one page, FOLDER/view.html, that opens in any browser without a server or a network. FOLDER
is the output of evaluation.evaluate or evaluation.demo; with several, planners can be watched side
by side. `--table DIR` writes the drives as tables instead, one row a road user and step.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from carl_planner.command_errors import input_errors_reported
from evaluation.recording.folder import find_episodes, read_episode
from evaluation.recording.table import FORMATS, write_table
from evaluation.viewer.page_file import VIEW_FILE, write_page

log = logging.getLogger(__name__)


def view(folders: Sequence[Path], output: Path | None = None) -> Path:
    """Write the page of these folders; returns its path."""
    return write_page(folders, output or folders[0] / VIEW_FILE)


def export_tables(folders: Sequence[Path], target: Path, kind: str, route: str | None) -> int:
    """Write the drives as tables into `target`; returns how many.

    Raises:
        ValueError: no drive, or none of the route.
    """
    number = 0
    for folder in folders:
        for path in find_episodes(folder):
            episode = read_episode(path)
            if route is None or str(episode.about["route"]) == route:
                name = f"{episode.about['planner']}_{path.stem}".replace("/", "_")
                write_table(episode, target / f"{name}.{kind}")
                number += 1
    if number == 0:
        which = "" if route is None else f" of route {route}"
        raise ValueError(f"{', '.join(map(str, folders))}: there is no recorded drive{which}")
    return number


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m evaluation.view", description="Watch recorded drives in a browser."
    )
    parser.add_argument("folders", nargs="+", type=Path, help="output folders of evaluations")
    parser.add_argument("--output", type=Path, help=f"the page; FOLDER/{VIEW_FILE} if not given")
    parser.add_argument("--table", type=Path, metavar="DIR", help="write tables into DIR instead")
    parser.add_argument("--format", choices=FORMATS, default="csv", help="of the tables")
    parser.add_argument("--route", help="with --table: this route alone")
    return parser.parse_args(words)


def main() -> None:
    """Run the command."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = parse()
    with input_errors_reported():
        if options.table is not None:
            number = export_tables(options.folders, options.table, options.format, options.route)
            log.info("%d tables in %s", number, options.table)
        else:
            path = view(options.folders, options.output)
            size = path.stat().st_size / 1e6
            log.info("%s (%.1f MB): open it in a browser", path.resolve().as_uri(), size)


if __name__ == "__main__":
    main()
