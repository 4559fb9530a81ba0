"""Disclosure: hand arithmetic, an attacker who breaks thresholds alone and not the protected tables, withdrawals."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from hfkit import aggregate, calibration, fairness
from hfkit.commands.sample import world
from hfkit.fairness import publish
from hfkit.shared import disclosure, errors

COUNTS, RATES = ["numerator", "denominator"], ["value", "low", "high"]


@pytest.fixture(scope="module")
def made():
    """The sample world: components, judgements, majority labels, and a candidate that is the baseline shaken."""
    whole = world()
    trust = pd.DataFrame({"rater_id": whole["raters"]["rater_id"], "flagged": False})
    found = aggregate.aggregate(whole["feedback"], whole["items"], whole["raters"], trust)
    said = found.labels.merge(whole["items"][["item_id", "component", "score"]], on=["item_id", "component"])
    shaken = (said["score"] + np.random.default_rng(1).normal(0, 0.15, len(said))).clip(0, 1)
    predictions = said[["item_id", "component"]].assign(
        split=np.where(said["item_id"].str[-1] < "3", "test", "train"), baseline=said["score"], candidate=shaken
    )
    return whole["components"], found.judgements, found.labels, predictions


@pytest.fixture(scope="module")
def rows(made):
    """The sample world as fairness sees it."""
    return fairness.perspectives(*made, intersections=[["language", "age_band"]])


RULE = {"min_group": 10, "suppress_below": 10, "round_to": 5}
JUDGED = ["true positive rate", "false positive rate", "accuracy"]


@pytest.fixture(scope="module")
def exact(rows):
    return fairness.assess(rows)


@pytest.fixture(scope="module")
def shown(rows):
    return fairness.assess(rows, judged=JUDGED, **RULE)


@pytest.fixture(scope="module")
def unrounded(rows):
    """The same statistics shown, so the same number of gaps that hold together, from exact counts."""
    return fairness.assess(rows, judged=JUDGED, min_group=10, suppress_below=10)


def threshold_only(groups):
    """What is usually done: cells of 1 to 9 left out, all margins true."""
    few = (groups["denominator"] > 0) & (groups["denominator"] < 10)
    return groups.assign(**{c: groups[c].where(~few) for c in COUNTS})


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


def one_component(p, component):
    """The rows of one component alone."""
    keep = p.component == p.components.index(component)
    parts = {k: getattr(p, k)[keep] for k in ("y", "decisions", "unit", "item")}
    names = {"components": (component,), "component": np.zeros(int(keep.sum()), np.int64)}
    return dataclasses.replace(p, **parts, **names, member=tuple(m[keep] for m in p.member))


def test_thresholds_alone_are_broken_and_the_published_counts_are_not(rows):
    """Counts below ten left out and all others true give withheld ones back; rounded, published once each, none."""
    served = one_component(rows[0], "safety")
    naive = publish.attacked(served, min_group=10, suppress_below=10, round_to=1, every=10)
    safe = publish.attacked(served, **RULE, every=10)
    assert naive["recovered"].sum() > 0
    assert safe["withheld"].sum() > 10
    assert safe["recovered"].sum() == 0


def test_no_answer_of_a_rater_is_recovered(rows):
    told = publish.attacked(rows[1], **RULE)
    assert told["withheld"].sum() > 0
    assert told["recovered"].sum() == 0


def together(made, p, attribute, every):
    """What the tables of fairness and of calibration give away together: answers by one attribute of the raters."""
    components, judgements, _, predictions = made
    component, a = p.components[0], p.attributes.index(attribute)
    p = dataclasses.replace(p, attributes=(attribute,), groups=p.groups[a : a + 1], member=p.member[a : a + 1])
    one = components[components["component"] == component]
    others = [c for c in judgements if c.startswith(("served.", "rater.")) and c != attribute]
    judged = calibration.judged(judgements[judgements["component"] == component].drop(columns=others), predictions)
    settings = calibration.Settings(n_boot=20)
    evidence = calibration.assess(judged, one, settings=settings, rng=np.random.default_rng(0))
    curve, threshold = calibration.reliability(judged, settings), float(one["threshold"].iloc[0])
    tables = [publish.claims(p, **RULE).drop(columns="component")]
    seen = judged[judged["split"] == "test"]
    cells = pd.DataFrame({attribute: seen[attribute]})
    for model in ("baseline", "candidate"):
        said = calibration.claims(curve, evidence, judged, view=model, component=component, threshold=threshold,
                                  settings=settings)[1][0]  # fmt: skip
        said["goal"] = said["acts"].isna()  # what a model acts on, fairness publishes or withholds: its own goals
        tables.append(said.rename(columns={"bin": f"bin {model}", "acts": f"acts {model}"}))
        cells[f"bin {model}"] = calibration.bin_of(seen[model]).astype(str)
        cells[f"acts {model}"] = np.where(seen[model] >= threshold, "1", "0")
    places = cells[[attribute]].drop_duplicates()
    cells = places.merge(cells.drop(columns=attribute).drop_duplicates(), how="cross")
    cells = cells.merge(pd.DataFrame({"label": ["0", "1"]}), how="cross")
    at = tuple(cells[c].astype(int).to_numpy() for c in ("label", "acts baseline", "acts candidate"))
    named = {f"{attribute}={v}": (cells[attribute] == v).astype(str) for v in places[attribute]}
    counted = {name: (mask[at] > 0).astype(str) for name, (mask, _) in publish._sums().items()}
    goals = [t.assign(goal=t["goal"] & (np.cumsum(t["count"].isna()) % every == 0)) for t in tables]
    return disclosure.attack(goals, cells=cells.assign(**named, **counted), threshold=10, base=5)


def test_both_rooms_together_recover_nothing(made, rows):
    told = together(made, one_component(rows[1], "safety"), "rater.age_band", every=3)
    assert len(told) >= 10
    assert told["recovered"].sum() == 0


def test_all_published_numbers_follow_from_the_counts_that_were_attacked(rows):
    """Rows moved from cell to cell so that no published count changes: not one number of any table does."""
    p = one_component(rows[0], "safety")
    p = dataclasses.replace(p, attributes=p.attributes[:1], groups=p.groups[:1], member=p.member[:1])
    said, rng, alike = publish.claims(p, **RULE)["count"].to_numpy(), np.random.default_rng(3), 0
    table = fairness.assess([p], **RULE)
    exact = fairness.assess([p], min_group=10)
    differs = 0
    for _ in range(200):
        row = int(rng.integers(len(p.y)))
        other = dataclasses.replace(p, y=p.y.copy(), decisions=p.decisions.copy())
        other.y[row], other.decisions[row] = rng.integers(2), rng.integers(2, size=2)
        if not np.array_equal(said, publish.claims(other, **RULE)["count"].to_numpy(), equal_nan=True):
            continue
        alike += 1
        again = fairness.assess([other], **RULE)
        pd.testing.assert_frame_equal(table.evidence, again.evidence, check_exact=True)
        pd.testing.assert_frame_equal(table.groups, again.groups, check_exact=True)
        pd.testing.assert_frame_equal(table.changes, again.changes, check_exact=True)
        differs += not exact.evidence.equals(fairness.assess([other], min_group=10).evidence)
    assert alike > 10
    assert differs > 5


def test_shown_rows_keep_the_promises(exact, shown):
    groups, full = shown.groups, exact.groups
    seen = groups["denominator"].notna()
    assert list(groups.columns) == list(full.columns)
    assert len(groups) == len(full)
    assert (groups.loc[seen, COUNTS] % 5 == 0).all(axis=None)
    served = seen & groups["group"].str.startswith("served.")
    assert (full.loc[served, "denominator"] >= 10).mean() > 0.95  # precision stands on few rows acted on, now and then
    rest = ~groups["measure"].isin(["precision"])
    assert (full.loc[served & rest, "denominator"] >= 10).all()
    assert not groups["value"].isin([0, 1]).any()
    assert groups.loc[~seen, [*COUNTS, *RATES]].isna().all(axis=None)
    assert (groups.loc[groups["value"].isna(), "note"] != "").all()


@pytest.mark.parametrize("table", ["evidence", "changes", "groups"])
def test_published_bounds_hold_the_exact_ones(unrounded, shown, table):
    """An interval never gets narrower, so coverage and error rates carry over."""
    full, out = getattr(unrounded, table), getattr(shown, table)
    keys = ["measure", "component", "group", *(["model"] if table == "groups" else [])]
    full = full.set_index(keys).reindex(pd.MultiIndex.from_frame(out[keys]))
    both = out["low"].notna().to_numpy() & full["low"].notna().to_numpy()
    assert both.sum() > 100
    spread = out["measure"].str.contains("spread|worst").to_numpy()  # of fewer groups: those that may be shown
    both &= ~spread
    assert (out["low"].to_numpy()[both] <= full["low"].to_numpy()[both] + 1e-9).all()
    assert (out["high"].to_numpy()[both] >= full["high"].to_numpy()[both] - 1e-9).all()


def test_nothing_in_nothing_out():
    empty = pd.DataFrame({c: pd.Series(dtype=float) for c in [*COUNTS, *RATES]}).assign(note="")
    assert len(disclosure.protect(empty, counts=COUNTS, rates=RATES)) == 0
    told = disclosure.attack([pd.DataFrame({"g": ["a"], "count": [20.0]})])
    assert len(told) == 0
