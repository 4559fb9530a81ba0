"""Disclosure: hand arithmetic, an attacker who breaks thresholds alone and not the protected tables, withdrawals."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from hfkit import aggregate, fairness
from hfkit.commands.sample import world
from hfkit.fairness import publish
from hfkit.shared import disclosure, errors

COUNTS, RATES = ["numerator", "denominator"], ["value", "low", "high"]


@pytest.fixture(scope="module")
def rows():
    """The sample world as fairness sees it: majority labels, a candidate that is the baseline shaken."""
    made = world()
    trust = pd.DataFrame({"rater_id": made["raters"]["rater_id"], "flagged": False})
    found = aggregate.aggregate(made["feedback"], made["items"], made["raters"], trust)
    said = found.labels.merge(made["items"][["item_id", "component", "score"]], on=["item_id", "component"])
    shaken = (said["score"] + np.random.default_rng(1).normal(0, 0.15, len(said))).clip(0, 1)
    predictions = said[["item_id", "component"]].assign(
        split=np.where(said["item_id"].str[-1] < "3", "test", "train"), baseline=said["score"], candidate=shaken
    )
    crossed = [["language", "age_band"]]
    return fairness.perspectives(made["components"], found.judgements, found.labels, predictions, intersections=crossed)


@pytest.fixture(scope="module")
def groups(rows):
    return fairness.assess(rows).groups


@pytest.fixture(scope="module")
def shown(groups, rows):
    return publish.published(groups, rows)


def one(frame, component):
    return frame[frame["component"] == component]


def threshold_only(groups):
    """What is usually done: cells of 1 to 9 left out, all margins true."""
    few = (groups["denominator"] > 0) & (groups["denominator"] < 10)
    note = groups["note"].mask(few, "withheld: fewer than 10")
    return groups.assign(**{c: groups[c].where(~few) for c in COUNTS}, note=note)


def test_rounding_by_hand():
    assert disclosure.round_counts([0, 2, 3, 7, 8, 12, 13], 5).tolist() == [0, 0, 5, 5, 10, 10, 15]
    assert disclosure.round_counts([4, 5, 14, 15], 10).tolist() == [0, 10, 10, 20]
    for base in (1, 2, 3, 5, 10):
        n = np.arange(200)
        least, most = disclosure.behind(disclosure.round_counts(n, base), base)
        assert ((least <= n) & (n <= most)).all()
        assert (most - least <= base - 1).all()


def test_the_attacker_solves_a_table_by_hand():
    """Two by two with true margins: one withheld cell gives all of them; a withheld row and column leave a range."""
    cell = [("a", "x", 3), ("a", "y", 20), ("b", "x", 30), ("b", "y", 40)]
    total = [("a", "all", 23), ("b", "all", 70), ("all", "x", 33), ("all", "y", 60)]
    table = pd.DataFrame(cell + total, columns=["g", "h", "count"]).astype({"count": float})
    told = disclosure.attack([table.assign(count=table["count"].where(table["count"] >= 10))], base=1)
    assert told[["low", "high", "recovered"]].values.tolist() == [[3, 3, True]]
    table.loc[:3, "count"] = np.nan
    told = disclosure.attack([table.assign(most=np.inf)], base=1)
    assert told["low"].tolist() == [0, 0, 10, 37]
    assert told["high"].tolist() == [23, 23, 33, 60]
    with pytest.raises(errors.BadValue, match="contradict"):
        disclosure.attack([pd.DataFrame({"g": ["a", "b", "all"], "count": [10.0, np.nan, 50.0]})], base=1)


def test_thresholds_alone_are_broken_and_the_published_tables_are_not(rows, groups, shown):
    served = [rows[0]]
    naive = publish.attacked(one(threshold_only(groups), "safety"), served, round_to=1, every=8)
    safe = publish.attacked(one(shown, "safety"), served, every=8)
    assert naive["recovered"].sum() > 0
    assert safe["withheld"].sum() > 0
    assert safe["recovered"].sum() == 0


def test_no_answer_of_a_rater_is_recovered(rows, shown):
    assert publish.attacked(shown, [rows[1]])["recovered"].sum() == 0


def test_what_is_shown_follows_from_the_rounded_counts_alone(rows, groups, shown):
    """Any other numerator that rounds alike gives the same row: nothing tells them apart."""
    served = groups[groups["group"].str.startswith("served")].dropna(subset=["value"])
    served = served[served["denominator"] >= 10]
    n = served["denominator"]
    args = {"counts": COUNTS, "rates": RATES}
    mine = disclosure.protect(served, **args)
    for shift in (-2, -1, 1, 2):
        other = served.assign(numerator=(served["numerator"] + shift).clip(0, n))
        other["low"], other["high"] = disclosure.stats.exact(other["numerator"], n)
        alike = disclosure.round_counts(other["numerator"]) == mine["numerator"]
        assert alike.sum() > 100
        theirs = disclosure.protect(other, **args)
        pd.testing.assert_frame_equal(mine[alike], theirs[alike])


def test_shown_rows_keep_the_promises(groups, shown):
    seen = shown["denominator"].notna()
    assert list(shown.columns) == list(groups.columns)
    assert (shown.loc[seen, COUNTS] % 5 == 0).all(axis=None)
    assert (groups.loc[seen, "denominator"] >= 10).all()
    assert not shown["value"].isin([0, 1]).any()
    assert shown.loc[~seen, [*COUNTS, *RATES]].isna().all(axis=None)
    assert (shown.loc[shown["value"].isna(), "note"] != "").all()
    assert (shown.loc[seen, "low"] <= groups.loc[seen, "low"] + 1e-9).all()  # an interval never gets narrower
    assert (shown.loc[seen, "high"] >= groups.loc[seen, "high"] - 1e-9).all()


def test_changes_and_evidence_are_coarsened(rows):
    found = fairness.assess(rows)
    for table, value in ((found.changes, "change"), (found.evidence, "value")):
        out = publish.published(table, rows)
        assert list(out.columns) == list(table.columns)
        assert (out["n"].dropna() % 5 == 0).all()
        both = out["low"].notna() & table["low"].notna()
        assert (out.loc[both, "low"] <= table.loc[both, "low"] + 1e-9).all()
        assert (out.loc[both, "high"] >= table.loc[both, "high"] - 1e-9).all()
        steps = out[value].dropna() * 100
        assert np.allclose(steps, steps.round())


def without(p, row):
    keep = np.arange(len(p.y)) != row
    parts = {k: getattr(p, k)[keep] for k in ("component", "y", "decisions", "unit", "item")}
    return dataclasses.replace(p, **parts, member=tuple(m[keep] for m in p.member))


def counted(p):
    """The table by group of one perspective, counts only."""
    found = [fairness.rows.fractions(fairness.rows.cells(p, a)[0]) for a in range(len(p.attributes))]
    top, bottom = (np.concatenate([f[side][..., :10].ravel() for f in found]).astype(float) for side in (0, 1))
    return pd.DataFrame({"place": range(len(top)), "numerator": top, "denominator": bottom, "note": ""})


def test_two_releases_around_a_withdrawal_find_nobody(rows):
    p = dataclasses.replace(rows[0], attributes=rows[0].attributes[:2], groups=rows[0].groups[:2],
                            member=rows[0].member[:2])  # fmt: skip
    before = counted(p)
    safe = disclosure.protect(before, counts=COUNTS)
    keys = ["place"]
    naive = rounded = located = 0
    for row in np.random.default_rng(2).choice(len(p.y), 200, replace=False):
        after = counted(without(p, row))
        plain = (threshold_only(before)[COUNTS].fillna(-1), threshold_only(after)[COUNTS].fillna(-1))
        naive += (plain[0] != plain[1]).any(axis=None)
        new = disclosure.protect(after, counts=COUNTS)
        told = disclosure.compare_releases(safe, new, keys=keys, numbers=COUNTS, moved=1)
        rounded += told.refused
        assert told.refused == (not safe[COUNTS].equals(new[COUNTS]))
        located += not told.release[COUNTS].equals(safe[COUNTS])
    assert naive > 100
    assert rounded > 0  # rounding alone does show some
    assert located == 0


def test_releases_many_people_apart_go_out():
    old = pd.DataFrame({"g": ["a", "b"], "n": [50.0, np.nan]})
    new = pd.DataFrame({"g": ["a", "b", "c"], "n": [70.0, 15.0, 20.0]})
    args = {"keys": ["g"], "numbers": ["n"]}
    told = disclosure.compare_releases(old, new, moved=40, **args)
    assert not told.refused
    pd.testing.assert_frame_equal(told.release, new)
    told = disclosure.compare_releases(old, new, moved=pd.Series([20, 6, 20]), **args)
    assert told.flagged["g"].tolist() == ["b"]
    assert told.release["n"].tolist()[0] == 70
    assert np.isnan(told.release["n"].tolist()[1])
    assert disclosure.compare_releases(old, new, **args).release["g"].tolist() == ["a", "b"]
    with pytest.raises(errors.BadValue, match="two of the same"):
        disclosure.compare_releases(pd.concat([old, old]), new, **args)


def test_nothing_in_nothing_out():
    empty = pd.DataFrame({c: pd.Series(dtype=float) for c in [*COUNTS, *RATES]}).assign(note="")
    assert len(disclosure.protect(empty, counts=COUNTS, rates=RATES)) == 0
    one_row = pd.DataFrame({"n": [0.0], "value": [0.0], "people": [0.0]})
    out = disclosure.protect(one_row, counts=["n"], rates=["value"], people="people")
    assert out.loc[0, ["n", "value"]].isna().all()
    assert "people" not in out
    told = disclosure.attack([pd.DataFrame({"g": ["a"], "count": [20.0]})])
    assert len(told) == 0
