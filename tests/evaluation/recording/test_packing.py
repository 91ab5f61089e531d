import json
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.recording.packing import MAGIC, Column, pack, read_about, table, unpack


def test_a_second_difference_of_a_steady_motion_is_zero():
    # 10, 11, 12, 14 and, in the next row, 10, 10: first stays, then the slope, then what changes it
    rows = np.array([4, 2])
    content = pack({}, {"x": Column(np.array([10, 11, 12, 14, 10, 10]), order=2, rows=rows)})
    raw = zlib.decompress(content[len(MAGIC) :])
    (length,) = struct.unpack_from("<I", raw)
    assert json.loads(raw[4 : 4 + length])["columns"][0]["rows"] == [[4, 1], [2, 1]]
    zigzag = list(raw[4 + length :])  # 10, 1, 0, 1, 10, 0 without signs
    assert zigzag == [20, 2, 0, 2, 20, 0]


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.integers(0, 7), max_size=6),
    order=st.sampled_from([0, 1, 2]),
    step=st.sampled_from([1.0, 0.01, 1 / 256]),
    seed=st.integers(0, 999),
)
def test_values_come_back_within_half_a_step(rows, order, step, seed):
    values = np.random.default_rng(seed).normal(0.0, 300.0, sum(rows)).cumsum()
    content = pack({"a": [1]}, {"v": Column(values, step, order, np.array(rows, np.int64))})
    about, columns = unpack(content)
    assert about == {"a": [1]}
    assert np.abs(columns["v"] - values).max(initial=0.0) <= step / 2 + 1e-9


def test_rounding_errors_do_not_add_up_along_a_row():
    values = np.full(100_000, 0.0049).cumsum()
    _, columns = unpack(pack({}, {"v": Column(values, 0.01, 2)}))
    assert np.abs(columns["v"] - values).max() <= 0.005 + 1e-9


def test_a_table_keeps_its_rows():
    values = np.arange(12.0).reshape(3, 4)
    _, columns = unpack(pack({}, {"t": table(values)}))
    np.testing.assert_array_equal(columns["t"].reshape(3, 4), values)


@pytest.mark.parametrize("value", [np.nan, np.inf, 2.0**40])
def test_what_no_column_can_hold_is_refused_by_name(value):
    with pytest.raises(ValueError, match="'speed' holds values that are not finite or beyond"):
        pack({}, {"speed": Column(np.array([1.0, value]))})


def test_damaged_files_are_told_from_whole_ones():
    content = pack({"route": "7"}, {"v": Column(np.arange(1000.0), order=0)})
    assert read_about(content) == {"route": "7"}
    for damaged in (b"", b"PK\x03\x04 and more", content[:40], content[:-20], MAGIC + b"\x00" * 9):
        with pytest.raises(ValueError, match="no recorded episode, or a damaged one"):
            unpack(damaged)


def test_a_file_that_promises_more_than_it_holds_is_refused():
    head = {"name": "v", "count": 10**9, "step": 1.0, "order": 0, "width": 1, "rows": None}
    header = json.dumps({"about": {}, "columns": [head]}).encode()
    raw = struct.pack("<I", len(header)) + header + b"\x00" * 5
    with pytest.raises(ValueError, match="ends within column 'v'"):
        unpack(MAGIC + zlib.compress(raw))
