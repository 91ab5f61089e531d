"""An edited callee in another file must be seen by a kernel that was cached before the edit."""

import os
import subprocess
import sys
from pathlib import Path

from sim_adapters.kernel_cache import kernel_source_hash

CALLEE = """
from numba import njit
@njit(cache=True)
def gain():
    return {value}
"""
CALLER = """
from numba import njit
from package.callee import gain
@njit(cache=True)
def doubled():
    return 2 * gain()
"""
MAIN = """
import os, sys
from pathlib import Path
from sim_adapters.kernel_cache import kernel_source_hash
folder = Path(sys.argv[1])
os.environ["NUMBA_CACHE_DIR"] = str(folder / "cache" / kernel_source_hash(folder / "package"))
import numba
numba.config.reload_config()
sys.path.insert(0, str(folder))
from package.caller import doubled
sys.stdout.write(str(doubled()))
"""


def run_caller(folder: Path) -> str:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", MAIN, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return done.stdout


def test_edited_callee_is_compiled_again(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "caller.py").write_text(CALLER)
    (package / "callee.py").write_text(CALLEE.format(value=3))
    assert run_caller(tmp_path) == "6"
    (package / "callee.py").write_text(CALLEE.format(value=5))
    assert run_caller(tmp_path) == "10"


def test_hash_depends_on_content_and_name(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    first = kernel_source_hash(tmp_path)
    (tmp_path / "a.py").write_text("2")
    second = kernel_source_hash(tmp_path)
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert len({first, second, kernel_source_hash(tmp_path)}) == 3
