"""A file is the old one or the new one, and nothing is left beside it."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest

from evaluation.scoring.results_file import write_json
from sim_adapters.atomic_file import write_atomically


def test_a_file_is_written_into_a_new_folder_with_usual_rights(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file"
    write_atomically(path, b"content")
    assert path.read_bytes() == b"content"
    assert [p.name for p in path.parent.iterdir()] == ["file"]
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("interruption", [OSError("full"), KeyboardInterrupt("stop")])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interruption: BaseException
) -> None:
    path = tmp_path / "results.json"
    write_json(path, {"old": True})
    before = path.read_bytes()

    class FullDisk(io.FileIO):
        def write(self, data: Any) -> int:
            super().write(bytes(data)[:3])
            raise interruption

    monkeypatch.setattr(Path, "open", lambda path, mode: FullDisk(path, mode))
    with pytest.raises(type(interruption), match=str(interruption)):
        write_json(path, {"new": True})
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["results.json"]
