"""Groups as structured keys: a name says which group it is and is read back, whatever people call themselves."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hfkit.shared import cohorts
from hfkit.shared.cohorts import Group, parse, readable
from hfkit.shared.schema import NOT_STATED

HOSTILE = (
    "&", "=", '"', " & ", "|", ",", "", " x", "x ", "a & b=c", '"a"', "\\", '\\"', "a\nb", "\t", "é", "日本", "\u2028",
    "\u202e", "not stated", "all", "served.x=y", "None", "nan", "0", "<b>", "'", 'x & y="z', "\x00",
)  # fmt: skip
value = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=12))
attribute = st.text(st.characters(blacklist_characters='&="', blacklist_categories=["Cs"]), min_size=1, max_size=8)


@given(st.sampled_from(["served", "rater"]), st.lists(st.tuples(attribute, value), min_size=1, max_size=3))
@settings(max_examples=400, deadline=None)
@example("served", [("language", "es & age=18")])
@example("rater", [("a.b", 'say "hi"'), ("c", " & d=e")])
def test_every_group_is_read_back_from_its_name(perspective, pairs):
    group = Group(perspective, tuple(a for a, _ in pairs), tuple(v for _, v in pairs))
    assert parse(str(group)) == group


@given(st.lists(value, min_size=2, max_size=2, unique=True), attribute)
@settings(max_examples=200, deadline=None)
def test_no_two_groups_share_a_name(values, name):
    one, two = (Group("served", (name,), (v,)) for v in values)
    assert str(one) != str(two)
    assert str(one) != str(Group("rater", (name,), (values[0],)))


def test_names_are_written_in_one_way():
    assert str(Group("served", ("language",), ("es",))) == "served.language=es"
    assert str(Group("rater", ("age_band", "region"), ("60+", "north"))) == "rater.age_band=60+ & region=north"
    assert str(Group("served", ("g",), ("",))) == 'served.g=""'
    assert str(Group("served", ("g",), ("a & b",))) == 'served.g="a & b"'
    assert str(Group("served", ("g",), ("x ",))) == 'served.g="x "'  # a blank at the end is seen
    assert str(Group("served", ("g",), ("a\nb",))) == 'served.g="a\\nb"'  # a name is one line
    assert json.loads(str(Group("served", ("g",), ('x"\n',))).partition("=")[2]) == 'x"\n'


NO_GROUPS = ("all", "", "served.language", "question=event_holds", "channel=thumbs", "other.g=x", "served", "served.=x",
             "labels=majority vote", "served.g=a & h", 'served.g="a', 'rater.g=a b" c')  # fmt: skip


@pytest.mark.parametrize("name", NO_GROUPS)
def test_what_is_no_group_of_people_is_none(name):
    assert parse(name) is None


def test_names_in_words():
    assert readable("served.language=es") == "people served with language es"
    assert readable("rater.age_band=60+ & region=north") == "raters with age_band 60+ and region north"
    assert readable('served.g="a & b"') == "people served with g a & b"
    assert readable("rater.region") == "raters, by region"
    assert readable("served.language & age_band") == "people served, by language and age_band"
    assert readable("all") == "everyone"
    assert readable("labels=majority vote") == "the labels majority vote"
    assert readable("anything else") == "anything else"


PEOPLE = pd.DataFrame({"cohort.g": ["b", "a", None, "a"], "cohort.h": [1.0, 2.0, 2.0, np.nan], "other": list("wxyz")})


def test_every_attribute_is_a_cohort_and_a_missing_value_a_group():
    found = cohorts.of(PEOPLE, "rater")
    assert [(c.name, c.main) for c in found] == [("rater.g", True), ("rater.h", True)]
    assert [str(g) for g in found[0].groups] == ["rater.g=a", "rater.g=b", f"rater.g={NOT_STATED}"]
    assert found[0].code.tolist() == [1, 0, 2, 0]
    assert [g.values[0] for g in found[1].groups] == ["1", "2", NOT_STATED]  # without a trailing .0


def test_crossed_groups_are_those_that_occur():
    g, h, both, *more = cohorts.of(PEOPLE, "served", crossings=[["g", "h"], ["g"], ["g", "nowhere"]])
    assert not more  # one attribute is no crossing; an unknown one crosses nothing
    assert both.name == "served.g & h"
    assert not both.main
    assert [str(x) for x in both.groups] == [
        "served.g=a & h=2", "served.g=a & h=not stated", "served.g=b & h=1", "served.g=not stated & h=2",
    ]  # fmt: skip
    for row, code in enumerate(both.code):
        assert both.groups[code].values == (g.groups[g.code[row]].values[0], h.groups[h.code[row]].values[0])


def test_the_same_groups_as_pandas_finds():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"served.{a}": rng.choice(np.array(["x", "y & z", "é", None], object), 300) for a in "ab"})
    for cohort in cohorts.of(frame, "served", family="served.", crossings=[["a", "b"]]):
        columns = [f"served.{a}" for a in cohort.attributes]
        peer = frame[columns].fillna(NOT_STATED).groupby(columns).size()
        sizes = np.bincount(cohort.code, minlength=len(cohort.groups))
        mine = {g.values if len(columns) > 1 else g.values[0]: n for g, n in zip(cohort.groups, sizes, strict=True)}
        assert mine == peer.to_dict()


def test_a_group_that_the_population_declares_stands_without_rows():
    declared = pd.DataFrame({"cohort": ["g", "g", "h"], "group": ["a", "z", "9"]})
    g, h, both = cohorts.of(PEOPLE, "served", crossings=[["g", "h"]], population=declared)
    assert [x.values[0] for x in g.groups] == ["a", "b", NOT_STATED, "z"]
    assert [x.values[0] for x in h.groups] == ["1", "2", "9", NOT_STATED]
    assert ("z", "9") in [x.values for x in both.groups]
    assert g.code.tolist() == [1, 0, 2, 0]


def test_nobody_makes_groups_of_nobody():
    (empty,) = cohorts.of(PEOPLE.iloc[:0][["cohort.g"]], "served")
    assert empty.groups == ()
    assert len(empty.code) == 0
    assert cohorts.of(PEOPLE[["other"]], "served") == []


def test_large_numbers_stay_apart():
    assert cohorts.words(pd.Series([1234567.0, 1234568.0, 0.1 + 0.2, None])).tolist() == [
        "1234567", "1234568", "0.3", NOT_STATED,
    ]  # fmt: skip
    assert cohorts.words(pd.Series([True, False])).tolist() == ["True", "False"]


def test_too_few_people_are_said_and_nobody_is_not():
    assert cohorts.too_few([0, 1, 4, 5], 5, "raters").tolist() == ["", *["fewer than 5 raters"] * 2, ""]
    assert cohorts.too_few(3, 5).tolist() == "fewer than 5 people"


# numbers in bins


def test_declared_edges_are_the_first_values_of_each_group():
    ages = pd.Series([17, 18, 29, 30, 64, 65, 99])
    groups, used = cohorts.binned(ages, [18, 30, 65])
    assert groups.tolist() == ["under 18", "18 to 29", "18 to 29", "30 to 64", "30 to 64", "65 and over", "65 and over"]
    assert used == [18, 30, 65]
    mixed, used = cohorts.binned(ages, [65, 18, 30, 30])  # in any order
    assert mixed.tolist() == groups.tolist()
    assert used == [18, 30, 65]
    halves, _ = cohorts.binned(pd.Series([0.2, 0.5, 0.7, 0.75]), [0.5, 0.75])
    assert halves.tolist() == ["under 0.5", "0.5 to below 0.75", "0.5 to below 0.75", "0.75 and over"]


def test_ages_in_94_values_become_quarters_of_about_equal_size():
    rng = np.random.default_rng(1)
    ages = pd.Series(np.r_[np.arange(6, 100), np.clip(rng.normal(40, 15, 4000).round(), 6, 99)])
    groups, used = cohorts.binned(ages)
    assert ages.nunique() == 94
    assert groups.nunique() == 4
    assert groups.value_counts(normalize=True).between(0.2, 0.3).all()
    assert all(e == int(e) for e in used)
    lows = {g: ages[groups == g].min() for g in groups.unique()}
    highs = {g: ages[groups == g].max() for g in groups.unique()}
    for name in groups.unique():
        if " to " in name:
            low, high = (int(v) for v in name.split(" to "))
            assert (low, high) == (lows[name], highs[name])
    again, _ = cohorts.binned(ages.astype(int).astype(str), used)  # as text, from an export
    assert again.tolist() == groups.tolist()


@given(st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=13, max_size=60, unique=True))
@settings(max_examples=80, deadline=None)
def test_every_number_lies_in_the_bin_of_its_edges(numbers):
    groups, used = cohorts.binned(pd.Series(numbers))
    place = np.searchsorted(used, numbers, side="right")
    assert len(used) <= 3
    assert pd.Series(place).groupby(groups.to_numpy()).nunique().max() == 1
    assert sorted(used) == used


@pytest.mark.parametrize(
    "values",
    [
        ["north", "south", None],
        ["under 18", "18 to 29"] * 20,
        [*(str(k) for k in range(20)), "unknown"],  # one word makes it text
        list(range(12)),  # few numbers are groups by themselves
        [None, None],
        [True, False, None],
    ],
)
def test_what_is_no_number_of_many_values_is_left_alone(values):
    given_values = pd.Series(values, dtype="object")
    groups, used = cohorts.binned(given_values)
    assert groups is given_values
    assert used == []


def test_with_declared_edges_words_and_missing_values_stay_as_they_are():
    groups, _ = cohorts.binned(pd.Series(["17", "unknown", None, "40"], dtype="object"), [30])
    assert groups[[0, 1, 3]].tolist() == ["under 30", "unknown", "30 and over"]
    assert groups.isna().tolist() == [False, False, True, False]


def test_large_edges_keep_their_names_apart():
    incomes = pd.Series([1_234_566.0, 1_234_567.0, 1_234_568.0, 1_234_569.0])
    groups, _ = cohorts.binned(incomes, [1_234_567, 1_234_568, 1_234_569])
    assert groups.nunique() == 4
    assert groups.tolist()[0] == "under 1234567"
