"""Rows and counts: block by block as by one formula over all rows, as by pandas, and as by fairlearn."""

import numpy as np
import pandas as pd
import pytest

from hfkit import fairness
from hfkit.fairness import rows
from hfkit.fairness.rows import MEASURES, MODELS, Perspective, cells
from hfkit.shared.errors import NothingLeft, ParamError


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


def test_fairlearn_says_the_same_of_the_same_rows():
    """Every rate of every group, component and model where both are defined; where ours is not, fairlearn says 0."""
    compared, undefined = 0, 0
    for n in (8, 40, 3_000):
        p = perspective(np.random.default_rng(n), n, groups=6)
        top, bottom = rows.fractions(cells(p, 0)[0])
        for c, m in np.ndindex(len(p.components), len(MODELS)):
            frame = fairness.metric_frame(p, "g", p.components[c], MODELS[m])
            for g, name in enumerate(p.groups[0]):
                for s, measure in enumerate(MEASURES):
                    own = top[c, g, 5 * m + s], bottom[c, g, 5 * m + s]
                    if name not in frame.by_group.index:
                        assert own == (0, 0)
                    elif own[1]:
                        assert frame.by_group.loc[name, measure] == pytest.approx(own[0] / own[1], abs=1e-12)
                        compared += 1
                    else:
                        assert frame.by_group.loc[name, measure] == 0.0
                        undefined += 1
            rates = frame.by_group
            for a, b in (("true positive rate", "false negative rate"), ("false positive rate", "true negative rate")):
                assert set((rates[a] + rates[b]).round(12)) <= {0.0, 1.0}
    assert compared > 300
    assert undefined > 30


def test_fairlearn_gets_the_rows_that_assess_has():
    """From tables, through `perspectives`: the values of the room's page, as a user would check them."""
    rng = np.random.default_rng(0)
    ids = [f"i{k}" for k in range(300)]
    components = pd.DataFrame({"component": ["safety"], "threshold": [0.5]})
    labels = pd.DataFrame({"item_id": ids, "component": "safety", "label": rng.integers(0, 2, 300)})
    language = rng.choice(np.array(["de", "en", None], object), 300)
    judgements = labels.assign(feedback_id=ids, rater_id=ids, weight=1.0, **{"served.language": language})
    candidate = rng.random(300)
    baseline = np.where(rng.random(300) < 0.1, np.nan, rng.random(300))
    predictions = labels[["item_id", "component"]].assign(split="test", baseline=baseline, candidate=candidate)
    served = fairness.perspectives(components, judgements, labels, predictions, intersections=[])[0]
    out = fairness.assess([served]).groups
    for model in MODELS:
        peer = fairness.metric_frame(served, "served.language", "safety", model).by_group
        own = out[out["model"] == model].pivot(index="group", columns="measure", values="value")
        assert list(peer.index) == ["served.language=de", "served.language=en", "served.language=not stated"]
        np.testing.assert_allclose(peer[list(MEASURES)], own.loc[peer.index, list(MEASURES)], atol=1e-12)


def test_fairlearn_is_asked_for_what_there_is():
    p = perspective(np.random.default_rng(0), 30)
    one = perspective(np.random.default_rng(0), 30, groups=1)
    assert (fairness.metric_frame(one, "g", "c0", "candidate").difference() == 0.0).all()  # as documented
    for names in (("h", "c0", "candidate"), ("g", "c9", "candidate"), ("g", "c0", "best")):
        with pytest.raises(ParamError, match="found"):
            fairness.metric_frame(p, *names)
    with pytest.raises(NothingLeft, match="a row with a decision"):
        fairness.metric_frame(perspective(np.random.default_rng(0), 0), "g", "c0", "candidate")
