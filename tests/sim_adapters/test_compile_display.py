import logging
from types import SimpleNamespace

import pytest
from numba import njit
from numba.core import event

from sim_adapters import compile_display
from sim_adapters.compile_display import FIRST_START, CompileDisplay


@pytest.fixture
def kernels(tmp_path, monkeypatch):
    """An empty folder of kernels; log lines come at once."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(compile_display, "LINE_INTERVAL_S", 0.0)
    return tmp_path


def step_kernel() -> None: ...


MOMENT = event.Event(
    "numba:compile",
    event.EventStatus.START,
    {"dispatcher": SimpleNamespace(py_func=step_kernel)},
)


def test_every_function_that_numba_compiles_is_counted_and_named(kernels, caplog):
    @njit
    def callee(x):
        return x + 1

    @njit
    def caller(x):
        return callee(x) * 2

    caplog.set_level(logging.INFO)
    display = CompileDisplay()
    with event.install_listener("numba:compile", display):
        assert caller(3) == 8
        assert caller(4) == 10  # compiled already
    assert display.num_compiled == 2
    assert display.seconds > 0.0
    lines = [line for line in caplog.messages if f"0 of about {FIRST_START} functions" in line]
    assert {line.rpartition(" ")[2] for line in lines} == {"caller", "callee"}


def test_no_number_is_promised_where_kernels_lie_already_or_when_it_was_wrong(kernels):
    first = CompileDisplay()
    first.on_start(MOMENT)
    first.on_end(MOMENT)
    assert first.state("f").startswith(f"1 of about {FIRST_START} functions")
    first.num_compiled = FIRST_START + 1
    assert first.state("f").startswith(f"{FIRST_START + 1} functions after")
    kept = kernels / "sim_adapters.world" / "0123" / "step.nbi"
    kept.parent.mkdir(parents=True)
    kept.touch()
    later = CompileDisplay()
    later.on_start(MOMENT)
    later.on_end(MOMENT)
    assert later.state("f").startswith("1 functions after")


def test_lines_come_now_and_then(kernels, monkeypatch, caplog):
    monkeypatch.setattr(compile_display, "LINE_INTERVAL_S", 100.0)
    caplog.set_level(logging.INFO)
    display = CompileDisplay()
    for _ in range(5):
        display.on_start(MOMENT)
        display.on_end(MOMENT)
    assert caplog.messages == []


def test_a_terminal_shows_one_line_of_80_columns_that_goes_away(kernels, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    display = CompileDisplay()
    display.on_start(MOMENT)
    display.on_end(MOMENT)
    shown = capsys.readouterr().err
    assert f"0 of about {FIRST_START}  step_kernel" in shown
    assert "\x1b[2K" in shown  # erased at the end


def test_other_ranks_keep_quiet(monkeypatch):
    registered = []
    monkeypatch.setattr(compile_display.event, "register", lambda *a: registered.append(a))
    monkeypatch.setenv("LOCAL_RANK", "1")
    compile_display.show_compilation()
    assert registered == []
    monkeypatch.setenv("LOCAL_RANK", "0")
    compile_display.show_compilation()
    assert len(registered) == 1
