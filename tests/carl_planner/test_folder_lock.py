import os
import signal
import subprocess
import sys

import pytest

from carl_planner.run_folder import locked_folder

HOLD = """
import sys, time
from pathlib import Path
from carl_planner.run_folder import locked_folder
with locked_folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_run_does_not_write_into_the_same_folder(tmp_path):
    with (
        locked_folder(tmp_path),
        pytest.raises(ValueError, match="another run writes"),
        locked_folder(tmp_path),
    ):
        pass
    with locked_folder(tmp_path):
        pass


def test_a_killed_run_leaves_its_folder_free(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        os.kill(holder.pid, signal.SIGKILL)
    with locked_folder(tmp_path):
        pass


def test_what_fails_before_it_has_written_leaves_no_lock(tmp_path):
    (tmp_path / "evaluate.log").write_text("")
    with pytest.raises(RuntimeError, match="no such town"), locked_folder(tmp_path):
        raise RuntimeError("no such town")
    assert [path.name for path in tmp_path.iterdir()] == ["evaluate.log"]


def test_what_fails_after_it_has_written_leaves_the_lock(tmp_path):
    written = tmp_path / "drives"
    with pytest.raises(FileExistsError), locked_folder(tmp_path):
        [written.mkdir() for _ in range(2)]
    assert (tmp_path / "lock").is_file()
