"""A map worker's limit is its own CPU time: neither a busy machine nor the compiler uses it up."""

import pytest

from sim_adapters.maps.map_worker import UnusableMapError, run_map_worker

WORKER = "tests.maps.worker_stand_in"
LIMIT_S = 3.0  # imports take one of them


@pytest.mark.parametrize("what", ["wait", "compile"])
def test_waiting_and_compiling_do_not_count(what: str) -> None:
    output = run_map_worker([WORKER, what, "3.5"], b"document", cpu_limit_s=LIMIT_S)
    assert output == b"document"


def test_work_beyond_the_limit_is_stopped_whatever_was_compiled_before() -> None:
    with pytest.raises(UnusableMapError, match="did not finish within 3 s of CPU time"):
        run_map_worker([WORKER, "compile_and_burn", "30"], b"document", cpu_limit_s=LIMIT_S)
