"""Rows and counts: block by block as by one formula over all rows, as by pandas, and as by fairlearn."""

import numpy as np
import pandas as pd
import pytest

from hfkit.fairness import rows
from hfkit.fairness.rows import Perspective, cells


def perspective(rng, n, *, components=3, groups=5, units=20, kind=np.int64):
    """Random rows: decisions of -1, 0 and 1, units that repeat within and across groups."""
    names = tuple(f"g={k}" for k in range(groups))
    draw = (rng.integers(0, high, n).astype(kind) for high in (components, 2, units, n + 1, groups))
    component, y, unit, item, member = draw
    decisions = rng.integers(-1, 2, (n, 2)).astype(kind)
    parts = tuple(f"c{k}" for k in range(components))
    return Perspective("served", parts, component, y, decisions, unit, item, ("g",), (names,), (member,))


def at_once(p, attribute):
    """The same counts by one formula over all rows, the units by a sort of pairs."""
    shape = (len(p.components), len(p.groups[attribute]))
    where = p.component * shape[1] + p.member[attribute]
    code = ((where * 2 + p.y) * 3 + p.decisions[:, 0] % 3) * 3 + p.decisions[:, 1] % 3
    counts = np.bincount(code, minlength=shape[0] * shape[1] * 18).reshape(*shape, 2, 3, 3)
    pairs = np.unique(np.column_stack([where, p.unit]), axis=0)[:, 0]
    return counts, np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)


@pytest.mark.parametrize("n", [0, 1, 6, 7, 8, 500])
@pytest.mark.parametrize("block", [1, 7, 1_000])
def test_counts_by_block_equal_counts_at_once(n, block, monkeypatch):
    monkeypatch.setattr(rows, "BLOCK", block)
    for seed in range(5):
        p = perspective(np.random.default_rng(seed), n)
        for got, expected in zip(cells(p, 0), at_once(p, 0), strict=True):
            assert got.dtype == np.int64
            np.testing.assert_array_equal(got, expected)


def test_counts_equal_pandas_and_small_types_count_the_same():
    wide = perspective(np.random.default_rng(0), 4_000, groups=12, units=90)
    small = perspective(np.random.default_rng(0), 4_000, groups=12, units=90, kind=np.int8)
    counts, units = cells(wide, 0)
    frame = pd.DataFrame({"component": wide.component, "group": wide.member[0], "y": wide.y, "unit": wide.unit,
                          "baseline": wide.decisions[:, 0] % 3, "candidate": wide.decisions[:, 1] % 3})  # fmt: skip
    size = frame.groupby(["component", "group", "y", "baseline", "candidate"]).size()
    assert {k: v for k, v in np.ndenumerate(counts) if v} == size.to_dict()
    assert dict(np.ndenumerate(units)) == frame.groupby(["component", "group"])["unit"].nunique().to_dict()
    for a, b in zip(cells(wide, 0), cells(small, 0), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_attribute_without_groups_has_no_counts():
    counts, units = cells(perspective(np.random.default_rng(0), 0, groups=0), 0)
    assert counts.shape == (3, 0, 2, 3, 3)
    assert units.shape == (3, 0)


@pytest.mark.parametrize("lead", [(), (1,), (0,), (2, 0), (7, 3, 4)])
def test_fractions_are_the_masks_summed_over_the_cells(lead):
    counts = np.random.default_rng(0).integers(0, 10**9, (*lead, 2, 3, 3))
    for got, mask in zip(rows.fractions(counts), (rows.TOP, rows.BOTTOM), strict=True):
        assert got.dtype == np.int64
        np.testing.assert_array_equal(got, np.tensordot(counts, mask, axes=([-3, -2, -1], [1, 2, 3])))
