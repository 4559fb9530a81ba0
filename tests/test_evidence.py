"""Evidence as sentences and in order: what a person reads first, and reads once; and the names of measures."""

from __future__ import annotations

import math
import re

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hfkit.shared import evidence, measures

ES = {"component": "safety", "group": "served.language=es"}


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (
            {"measure": "true positive rate change", "value": -0.22, "low": -0.35, "high": -0.1, **ES},
            "For people served with language es, safety: the share of cases with the event that are caught falls by 22 "
            "percentage points (10 to 35).",
        ),
        (
            {"measure": "cost per 1,000 change", "value": -6.7, "low": -54.4, "high": 46.2, "component": "offensive"},
            "Offensive: the expected cost per 1,000 served changes by -7 points (-54 to +46).",
        ),
        (
            {"measure": "cost per 1,000 change against recalibration", "value": 12, "low": 2, "high": 30,
             "component": "safety"},
            "Safety: the expected cost per 1,000 served rises by 12 points (2 to 30) against the "
            "recalibrated baseline.",
        ),
        (
            {"measure": "false positive rate gap (candidate)", "value": 0.1, "low": 0.02, "high": 0.2, **ES},
            "For people served with language es, safety: the share of cases without the event that get a false alarm "
            "is higher than for everyone else by 10 percentage points (2 to 20).",
        ),
        (
            {"measure": "accuracy gap (candidate)", "value": 0.01, "low": -0.2, "high": 0.25, **ES},
            "For people served with language es, safety: the share of right decisions differs from that of everyone "
            "else by +1 percentage points (-20 to +25).",
        ),
        (
            {"measure": "accuracy gap change", "value": -0.1, "low": -0.2, "high": -0.05, **ES},
            "For people served with language es, compared with everyone else, safety: the share of right decisions "
            "falls by 10 percentage points (5 to 20).",
        ),
        (
            {"measure": "rater coverage", "value": 0.254, "low": 0.166, "high": 0.386, "component": "all",
             "group": "rater.age_band=60+"},
            "For raters with age_band 60+, the share among those who answered over the share of the population is 0.254"
            " (0.166 to 0.386).",
        ),
        (
            {"measure": "A/B difference", "value": math.nan, "component": "all", "note": "no experiment was logged"},
            "A/B difference is not known: no experiment was logged.",
        ),
    ],
)  # fmt: skip
def test_a_statement_reads_as_a_sentence(row, sentence):
    made = evidence.table([evidence.row(**({"n": 50, "group": "all"} | row))])
    assert evidence.sentence(next(made.itertuples())) == sentence
    assert evidence.sentence(made.iloc[0].to_dict()) == sentence


def test_proven_statements_stand_first_then_by_size():
    def of(name, value, low, high, verdict="inconclusive"):
        return evidence.row(name, value=value, low=low, high=high, n=50, component="c", verdict=verdict)

    rows = [
        of("accuracy change", 0.5, -0.1, 0.9), of("accuracy gap (candidate)", 0.02, 0.01, 0.03, "pass"),
        of("AUC change", math.nan, math.nan, math.nan), of("precision change", -0.1, -0.15, -0.05),
        of("flip share", 0.3, 0.25, 0.35, "fail"), of("precision gap (candidate)", -0.6, -0.9, 0.1),
        of("selection rate change", 0.2, 0.1, 0.3, "fail"), of("event share", 0.9, 0.8, 1.0),
    ]  # fmt: skip
    first = evidence.proven_first(evidence.table(rows))["measure"].tolist()
    assert first == [
        "flip share", "selection rate change",  # fails, the larger first
        "precision change", "accuracy gap (candidate)",  # the interval leaves out no difference
        "event share", "precision gap (candidate)", "accuracy change", "AUC change",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("measure", "low", "high", "better", "harmful"),
    [
        ("accuracy change", -0.2, -0.01, "higher", True),
        ("accuracy change", -0.2, 0.0, "higher", False),
        ("false positive rate gap (candidate)", 0.01, 0.2, "lower", True),
        ("false positive rate gap (candidate)", -0.2, -0.01, "lower", False),
        ("false positive rate (candidate)", 0.01, 0.2, "lower", False),  # a level compares nothing
        ("selection rate change", 0.1, 0.2, "none", False),  # neither way is worse
        ("flip share", 0.1, 0.2, "lower", False),
        ("accuracy change", math.nan, math.nan, "higher", False),
    ],
)
def test_harm_is_a_difference_wholly_on_the_bad_side(measure, low, high, better, harmful):
    assert evidence.harmful(measure, low, high, better) is harmful


def test_every_declared_name_is_read_back_as_its_measure_and_form():
    read = measures.read("cost per 1,000 change against recalibration")
    assert (read.measure, read.form, read.model, read.difference) == (measures.COST, "change", "against", True)
    read = measures.read("log loss gap change")
    assert (read.measure.name, read.form, read.model) == ("log loss", "gap change", "")
    for room, names in measures.NAMES.items():
        assert measures.undeclared([n.replace("*", "x") for n in names], room) == []
        for n in names:
            known = measures.read(n).measure
            assert n.startswith(known.name)
            assert known.better in ("higher", "lower", "target", "none")
    assert measures.undeclared(["ECE (candidate)"], "fairness") == ["ECE (candidate)"]


def test_names_are_unique_and_patterns_match_no_other_name():
    for names in measures.NAMES.values():
        assert len(set(names)) == len(names)
    record_names = pd.Series([m.name for m in (*measures.JUDGEABLE, measures.COST)])
    assert record_names.is_unique


@given(
    st.floats(-1, 1), st.floats(0.02, 0.8), st.floats(0.02, 0.8), st.integers(5, 500),
    st.sampled_from([0.05, 0.1, 0.3]), st.sampled_from(["higher", "lower", "none", "target"]),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_as_many_rows_settle_it_as_is_said(value, below, above, n, margin, better):
    """The interval shrunk with the root of the rows: by how many would the verdict be one? Tried out, not derived."""
    assume(evidence.within(value - below, value + above, margin=margin, better=better) == "inconclusive")
    settled(value, below, above, n, margin, better)


def test_as_many_rows_settle_an_estimate_beyond_a_two_sided_margin_as_is_said():
    """It fails once all of it lies beyond the near edge: 0.3 wide below 0.2, 0.15 to go, four times as many."""
    settled(0.2, 0.3, 0.3, 100, 0.05, "none")
    settled(-0.4, 0.5, 0.5, 40, 0.1, "target")


def settled(value, below, above, n, margin, better):
    """Holds what `settle` says against rows that were tried."""
    low, high = value - below, value + above
    assert evidence.within(low, high, margin=margin, better=better) == "inconclusive"
    said = evidence.settle(value, low, high, n=n, margin=margin, better=better)

    def open_at(rows):
        by = math.sqrt(n / rows)
        return evidence.within(value - below * by, value + above * by, margin=margin, better=better) == "inconclusive"

    few_rows, many = float(n), 1e6
    if open_at(many):
        assert "no realistic number" in said
        return
    for _ in range(60):
        middle = math.sqrt(few_rows * many)
        few_rows, many = (middle, many) if open_at(middle) else (few_rows, middle)
    told = int(re.search(r"about ([\d,]+)", said)[1].replace(",", ""))
    least = max(math.ceil(many - 1e-6), 30)
    assert least - 1 <= told <= least * 1.1 + 1  # rounded up to two digits


def test_what_would_settle_it_by_hand():
    """0.1 wide on either side at 100 rows, 0.05 to go: four times the rows; of two edges the one that is harder."""
    assert "about 400 " in evidence.settle(0.0, -0.1, 0.1, n=100, margin=0.05, better="higher")
    assert "about 400 " in evidence.settle(0.0, -0.1, 0.1, n=100, margin=0.05, better="none")
    assert "about 550 " in evidence.settle(
        0.02, -0.05, 0.09, n=100, margin=0.05, better="none"
    )  # not (0.07 / 0.07) ** 2
    assert evidence.settle(math.nan, 0, 1, n=9, margin=0.1, better="none") == ""
