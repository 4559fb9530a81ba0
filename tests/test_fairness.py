"""The room in one call: small groups are named, row order is immaterial, broken worlds invent nothing, harm is found.

The worlds of the other tests of this room are made here too: `given` for the tables, `part` for one topic.
"""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hfkit import fairness
from hfkit.commands.sample import world as sample_world
from hfkit.fairness.perspective import Part
from hfkit.shared import cohorts, evidence, measures, schema

NOBODY = pd.DataFrame({"cohort": [], "group": [], "share": []}).astype({"cohort": "str", "group": "str"})


def words(n):
    """So many different texts; numbers would not do, all digits read alike."""
    return ["".join("abcdefghijklmnop"[int(d, 16)] for d in f"{k:04x}") for k in range(n)]


def declared(cohort="g", **shares):
    """A population that declares one cohort."""
    return pd.DataFrame({"cohort": cohort, "group": list(shares), "share": list(shares.values())})


def _columns(family, groups):
    groups = groups if isinstance(groups, dict) else {} if groups is None else {"g": groups}
    return {f"{family}.{name}": pd.Series(values, dtype="object") for name, values in groups.items()}


def given(
    group=None, y=None, before=None, after=None, *, component="safety", population=NOBODY, costs=(1.0, 3.0), **more
):
    """The room's tables of a world where row i is one item with one answer that gives its label.

    `group` (values, or attributes and values) is of the people served, `side` of those who judged; scores are decisions
    at 0.5. Also: unit and rater (names a row), item (names; rows of one name are answers to one item), p, text, split.
    """
    n = len(y if y is not None else next(iter(group.values())) if isinstance(group, dict) else group)
    ids = pd.Series([f"{component}{k:05d}" for k in range(n)], dtype="str")
    item = pd.Series(more.get("item", ids), dtype="str")
    y = np.zeros(n, int) if y is None else np.asarray(y, int)
    before, after = (np.zeros(n) if s is None else np.asarray(s, float) for s in (before, after))
    served, side = _columns("served", group), _columns("rater", more.get("side"))
    judgements = pd.DataFrame({
        "feedback_id": ids, "item_id": item, "component": component, "unit_id": pd.Series(more.get("unit", [None] * n)),
        "rater_id": more.get("rater", ids), "channel": "panel", "label": y, "weight": 1.0, "score": before, **served,
        **side,
    })  # fmt: skip
    once = ~item.duplicated()
    items = judgements.loc[once, ["item_id", "component", "unit_id"]].assign(
        text=more.get("text", words(int(once.sum()))),
        **{c.replace("served.", "cohort."): v[once] for c, v in served.items()},
    )
    p = y.astype(float) if more.get("p") is None else np.asarray(more["p"], float)
    key = {"item_id": item[once], "component": component}
    return fairness.Given(
        items=items.reset_index(drop=True),
        components=pd.DataFrame(
            {"component": [component], "threshold": 0.5, "cost_false_alarm": costs[0], "cost_miss": costs[1]}),
        population=population,
        labels=pd.DataFrame({**key, "tied": p[once] == 0.5, "label": y[once]}).reset_index(drop=True),
        judgements=judgements,
        predictions=pd.DataFrame({
            **key, "split": pd.Series(np.broadcast_to(more.get("split", "test"), n))[once], "baseline": before[once],
            "recalibrated": before[once], "candidate": after[once],
        }).reset_index(drop=True),
        trained=pd.DataFrame({**key, "use": "exploit", "weight": 1.0}).reset_index(drop=True),
    )  # fmt: skip


def together(*worlds):
    """Several components as one world."""
    names = [f.name for f in fields(fairness.Given) if f.name != "population"]
    return replace(worlds[0], **{n: pd.concat([getattr(w, n) for w in worlds], ignore_index=True) for n in names})


def shuffled(world, seed=1):
    """The same tables with their rows in another order."""
    return replace(world, **{f.name: getattr(world, f.name).sample(frac=1, random_state=seed) for f in fields(world)})


def view(world, name="served", crossings=()):
    """One perspective of a world."""
    tables = (world.components, world.judgements, world.labels, world.predictions)
    found, _ = fairness.perspectives(*tables, population=world.population, crossings=crossings)
    return next(v for v in found if v.name == name)


def part(world, cohort="served.g", component="safety", crossings=()):
    """One component and cohort of a world."""
    seen = view(world, cohort.partition(".")[0], crossings)
    return Part(seen, seen.components.index(component), next(c for c in seen.cohorts if c.name == cohort))


def settings(judged=("true positive rate", "false positive rate", "accuracy"), *, crossings=(), fdr=0.05, **targets):
    """What was declared; groups of any size are numbered unless `min_people` says otherwise."""
    targets = fairness.Targets(judged=judged, **{"min_people": 1, **targets})
    return fairness.Settings(targets=targets, crossings=crossings, fdr=fdr)


def measured(*world, judged=("true positive rate", "false positive rate", "accuracy"), targets=None, **more):
    """The result of a world made by `given`."""
    return fairness.measure(given(*world, **more), settings(judged, **(targets or {})))


def pick(frame, **where):
    """The rows in question, one of them as a Series."""
    for column, wanted in where.items():
        frame = frame[frame[column] == wanted]
    return frame.iloc[0] if len(frame) == 1 else frame


def compared(topic, form, measure, *, group=None, model="", level=0.95):
    """The comparisons of a topic of one form and measure: by group, or of one group."""
    found = [c for c in topic.compare(level) if (c.form, c.measure.name, c.model) == (form, measure, model)]
    by_group = {c.part.cohort.groups[c.group].values[0]: c for c in found}
    return by_group if group is None else by_group[group]


def draw(rng, sizes, rates, *, event=0.5, false_alarm=0.2):
    """Groups with given true positive rates: group, label, and the decisions of a model as scores of 0 or 1."""
    group = np.repeat([f"g{i:02d}" for i in range(len(sizes))], sizes)
    y = rng.random(len(group)) < event
    p = np.where(y, np.repeat(rates, sizes), false_alarm)
    return group, y.astype(int), (rng.random(len(group)) < p).astype(float)


# small groups


def numbers(frame):
    """The columns of a table that hold numbers, but for the count in the evidence: 0 of a group not numbered."""
    return [c for c in frame if pd.api.types.is_numeric_dtype(frame[c]) and c != "n"]


def world_with_a_group_of(four, *, people=None):
    """A served group and a rater group of few, beside two large ones each; texts are shared by all groups."""
    rng = np.random.default_rng(1)
    n = 300 + four
    group = np.where(np.arange(n) < four, "few", np.where(np.arange(n) % 2, "a", "b"))
    text = [f"{chr(97 + k % 15)}{chr(97 + k // 15 % 15)} word" for k in range(n)]
    person = None if people is None else [f"p{k % people}" if k < four else f"u{k}" for k in range(n)]
    rater = [f"few{k % 4}" if k < four else f"r{k % 60}" for k in range(n)]
    more = {} if person is None else {"unit": person}
    return given(
        {"g": group, "h": np.where(np.arange(n) % 3, "x", "y")}, rng.integers(0, 2, n), rng.random(n), rng.random(n),
        side={"s": np.where(np.arange(n) < four, "few", np.where(np.arange(n) % 2, "s1", "s2"))}, rater=rater,
        text=text, split=np.where(np.arange(n) % 5 == 4, "train", "test") if people else "test",
        population=declared(a=0.5, b=0.48, few=0.02), **more,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "people"), [(4, None), (40, 4)], ids=["four items", "ten items of each of four people"]
)
def test_a_group_of_four_people_is_named_in_every_table_and_numbered_in_none(rows, people):
    world = world_with_a_group_of(rows, people=people)
    out = fairness.measure(world, settings(min_people=5, crossings=[["g", "h"]], main=["served.g", "rater.s"]))
    tables = {f.name: getattr(out, f.name) for f in fields(out) if f.name not in ("size", "main_rows")}
    for name, table in tables.items():
        for group in ("served.g=few", "rater.s=few"):
            own = table[table["group"] == group]
            assert len(own) or (name == "consistency" and group.startswith("rater")), (name, group)
            assert own[numbers(own)].isna().all(axis=None), (name, group)
            assert own["note"].str.contains("fewer than 5|no share of it among the people served").all()
            if "n" in own and name in ("gates", "leads", "evidence"):
                assert (own["n"] == 0).all()
            if "verdict" in own:
                assert set(own["verdict"]) <= {"inconclusive", "info"}
        crossed = table[table["group"].str.startswith("served.g=few & ")]
        assert crossed[numbers(crossed)].isna().all(axis=None), name
    assert out.gates["value"].notna().any()
    for group in ("served.g=a", "rater.s=s1"):
        assert out.groups.loc[out.groups["group"] == group, "value"].notna().all()
    rules, few = fairness.whose(
        world, settings(min_people=5), compared="accuracy", most_sets=100, rng=np.random.default_rng(0)
    )
    assert rules[rules["rule"] == "without rater.s=few"]["value"].isna().all()
    assert len(few) == 2


def test_a_group_of_four_that_nobody_heard_is_not_numbered_either():
    """None of the four gave feedback or is trained on: nought of so many would give away how many they are."""
    world = world_with_a_group_of(4)
    world = replace(world, judgements=world.judgements.iloc[4:], trained=world.trained.iloc[4:], population=NOBODY)
    heard = fairness.measure(world, settings(min_people=5)).representation
    own = heard[heard["group"] == "served.g=few"]
    assert len(own) == 3
    assert own[numbers(own)].isna().all(axis=None)


def test_whoever_is_one_more_is_numbered():
    out = fairness.measure(world_with_a_group_of(5), settings(min_people=5))
    assert out.groups.loc[out.groups["group"] == "served.g=few", "denominator"].notna().all()


# laws


@pytest.fixture(scope="module")
def usual():
    """A world with everything in it: two components, crossings, missing groups, people and texts that repeat, ties."""
    made = []
    for seed, component in enumerate(("policy", "safety")):
        rng = np.random.default_rng(seed)
        n = 240
        y = rng.integers(0, 2, n)
        p = np.where(rng.random(n) < 0.05, 0.5, y)
        before = np.where(rng.random(n) < 0.1, np.nan, rng.random(n).round(2))
        made.append(given(
            {"g": rng.choice(np.array(["a", "b", 'c & "d"', None], object), n), "h": rng.choice(["x", "y"], n)}, y,
            before, rng.random(n).round(2), component=component, p=p,
            unit=rng.choice(np.array([*"uvwxyz", None], object), n), side={"s": rng.choice(["s1", "s2", None], n)},
            rater=rng.choice([f"r{k}" for k in range(30)], n),
            text=[f"{chr(97 + k % 20)} word" for k in range(n)], split=np.where(rng.random(n) < 0.2, "train", "test"),
            population=pd.concat([declared(a=0.5, b=0.5), declared("s", s1=0.4, s2=0.6)]),
        ))  # fmt: skip
    return together(*made)


def test_the_order_of_rows_does_not_change_a_bit(usual):
    how = settings(["accuracy", "AUC", "saving per 1,000"], crossings=[["g", "h"]], min_people=3)
    for seed in (1, 2):
        mixed = shuffled(usual, seed)
        one, two = fairness.measure(usual, how), fairness.measure(mixed, how)
        assert one.size == two.size
        for f in fields(one):
            if f.name != "size":
                pd.testing.assert_frame_equal(getattr(one, f.name), getattr(two, f.name), check_exact=True)
        assert fairness.answer(one.gates, one.leads) == fairness.answer(two.gates, two.leads)


def test_what_is_undefined_is_missing_with_a_reason_and_what_is_known_lies_between_its_bounds(usual):
    out = fairness.measure(usual, settings(["accuracy", "AUC", "saving per 1,000"], crossings=[["g", "h"]]))
    for name in ("gates", "leads", "evidence", "groups", "scores", "outcomes", "representation", "consistency"):
        table = getattr(out, name)
        value = next(c for c in ("value", "saving", "ratio") if c in table)
        if name == "evidence":  # a count of texts has no bounds
            table = table[table["measure"] != "texts served to two groups"]
        assert (table.loc[table[value].isna() | table["low"].isna(), "note"] != "").all(), name
        known = table.dropna(subset=[value, "low", "high"])
        assert (known["low"] <= known[value] + 1e-9).all(), name
        assert (known[value] <= known["high"] + 1e-9).all(), name
    schema.shape(out.evidence, schema.EVIDENCE)
    schema.shape(out.leads, schema.LEADS)
    assert measures.undeclared(out.evidence["measure"], "fairness") == []
    assert measures.undeclared(out.leads["measure"], "fairness") == []


def test_a_group_whose_name_looks_like_two_is_one(usual):
    out = fairness.measure(usual, settings(["accuracy"]))
    hostile = 'served.g="c & \\"d\\""'
    assert hostile in set(out.gates["group"])
    assert hostile in set(fairness.by_group(out.changes, out.outcomes)["group"])
    assert cohorts.readable(hostile) == 'people served with g c & "d"'


@pytest.mark.parametrize(
    "case",
    ["one row", "one class", "one group", "no baseline", "constant", "nobody states", "no weight", "no test rows"],
)
def test_broken_worlds_never_invent_a_verdict(case):
    rng = np.random.default_rng(3)
    group, y, says = draw(rng, [40, 40], [0.8, 0.8])
    before = says.copy()
    if case == "one row":
        group, y, says, before = group[:1], y[:1], says[:1], before[:1]
    if case == "one class":
        y = np.zeros_like(y)
    if case == "one group":
        group = np.full(len(group), "only")
    if case == "no baseline":
        before = np.full(len(before), np.nan)
    if case == "constant":
        says = before = np.full(len(before), 0.5)
    if case == "nobody states":
        group = [None] * len(group)
    world = given(group, y, before, says, side=group, split="train" if case == "no test rows" else "test")
    if case == "no weight":
        world.judgements["weight"] = 0.0
    names = [m.name for m in measures.JUDGEABLE]
    out = fairness.measure(world, settings(names, margin=0.3))
    for table in (out.gates, out.leads, out.evidence):
        missing = table[table["value"].isna()]
        assert (missing["note"] != "").all()
        assert not missing["verdict"].isin(["pass", "fail"]).any()
    assert not (out.gates["verdict"] == "fail").any()
    assert fairness.answer(out.gates, out.leads)
    assert all(isinstance(v, float) for v in fairness.metrics(out.gates, out.leads, out.evidence).values())
    if case == "no baseline":
        assert out.groups.loc[out.groups["model"] == "baseline", "value"].isna().all()
        assert out.changes["change"].isna().all()
    if case == "nobody states":
        assert "served.g=not stated" in set(out.groups["group"])
    if case != "no test rows":
        shown = out.groups[(out.groups["measure"] == "selection rate") & out.groups["group"].str.startswith("served")]
        assert shown.groupby("model")["denominator"].sum()["candidate"] == len(y)  # nobody is dropped
    blind = fairness.search(world, settings(), fairness.Search())
    assert not (blind.table["verdict"] == "fail").any()
    assert blind.evidence["note"].ne("").all()
    rules, few = fairness.whose(world, settings(), compared="accuracy", most_sets=10, rng=rng)
    assert (rules["value"].notna() | (rules["note"] != "")).all()
    assert len(fairness.statements(rules, few, measure="accuracy")) == len(rules) + len(few)


# reading


def gate(verdict, value=0.0, low=None, high=None, *, group="served.g=a", measure="accuracy change", component="safety"):
    low, high = value - 0.1 if low is None else low, value + 0.1 if high is None else high
    return evidence.row(measure, value=value, low=low, high=high, n=100, component=component, group=group,
                        better="higher" if measure.startswith("accuracy") else "lower", verdict=verdict)  # fmt: skip


def lead(value, q, verdict="fail", group="served.g=b & h=x"):
    row = {**evidence.row("false positive rate change", value=value, low=value - 0.05, high=value + 0.05, n=80,
                          component="safety", group=group, better="lower", verdict=verdict), "q": q}  # fmt: skip
    return row


NO_LEADS = schema.shape(evidence.table([]).assign(q=pd.Series(dtype=float)), schema.LEADS)


def test_the_answer_counts_passes_fails_and_inconclusive_ones_each_by_itself():
    gates = [gate("fail", -0.3, -0.4, -0.2), *[gate("pass")] * 3, *[gate("inconclusive")] * 5]
    said = fairness.answer(evidence.table(gates), NO_LEADS)
    assert "Comparisons of main groups: 9, of which 1 beyond the margin, 3 within it, 5 inconclusive." in said
    assert (
        "For people served with g a, safety: the share of right decisions falls by 30 percentage points (20 to 40)."
        in said
    )
    assert "leads" not in said
    assert said.count("statistically clear") == 0
    kinds = fairness.metrics(evidence.table(gates), NO_LEADS, evidence.table([]))
    assert (kinds["gates_fail"], kinds["gates_pass"], kinds["gates_inconclusive"], kinds["leads_fail"]) == (1, 3, 5, 0)
    table = fairness.tally(evidence.table(gates)).iloc[0]
    assert (table["pass"], table["fail"], table["inconclusive"]) == (3, 1, 5)


def test_the_answer_says_where_nothing_can_be_said():
    said = fairness.answer(evidence.table([gate("inconclusive")] * 4), NO_LEADS)
    assert "There is not enough data to say" in said
    assert "all 4 comparisons of main groups are inconclusive" in said
    passed = fairness.answer(evidence.table([gate("pass"), gate("inconclusive")]), NO_LEADS)
    assert "not enough data" not in passed


def test_the_answer_names_three_fails_and_for_whom_harm_is_clear_but_may_not_exceed_the_margin():
    fails = [gate("fail", -0.2 - k / 100, group=f"served.g=f{k}") for k in range(5)]
    clear = [gate("inconclusive", -0.08, -0.15, -0.01, group=f"served.g=c{k}") for k in range(4)]
    good = gate("pass", 0.1, 0.05, 0.15, group="served.g=good")
    said = fairness.answer(evidence.table([*fails, *clear, good]), NO_LEADS)
    named = [k for k in range(5) if f"For people served with g f{k}" in said]
    assert named == [2, 3, 4]  # the largest
    assert "The harm is statistically clear but may not exceed the margin for people served with g c0 (safety)" in said
    assert "and 1 more." in said
    assert "good" not in said


def test_the_surest_lead_is_the_one_of_the_smallest_doubt_and_not_the_largest():
    rows = [lead(0.6, 0.04, group="served.g=large & h=x"), lead(0.2, 0.001, group="served.g=sure & h=x"),
            lead(0.5, 0.9, "inconclusive"), lead(-0.1, 0.0, "pass")]  # fmt: skip
    leads = schema.shape(pd.DataFrame(rows), schema.LEADS)
    said = fairness.answer(evidence.table([gate("pass")]), leads)
    assert "2 leads ask for a look; the surest: For people served with g sure and h x, safety" in said


def test_pictures_and_tables_put_the_harmed_first():
    rows = [gate("pass", 0.2, group="served.g=a"), gate("inconclusive", -0.05, group="served.g=b"),
            gate("fail", -0.3, group="served.g=c"),
            gate("inconclusive", 0.3, group="served.g=c", measure="false positive rate change"),
            {**gate("inconclusive", group="served.g=few"), "value": np.nan, "low": np.nan, "high": np.nan}]  # fmt: skip
    gates = evidence.table(rows)
    drawn = fairness.picture(gates)
    assert drawn["label"].tolist()[:2] == [
        "safety, served.g=c: accuracy change", "safety, served.g=c: false positive rate change",
    ]  # fmt: skip
    assert not drawn["label"].str.contains("few").any()
    cells = fairness.grid(gates)
    assert cells["row"].unique().tolist() == ["safety: served.g=c", "safety: served.g=b", "safety: served.g=a"]


def test_before_and_after_by_group_by_hand():
    group, y = ["a"] * 20 + ["b"] * 20, [1] * 10 + [0] * 10 + [1] * 20
    before, after = [1] * 20 + [1] * 10 + [0] * 10, [1] * 8 + [0] * 2 + [1] * 5 + [0] * 5 + [1] * 20
    out = measured(group, y, before, after)
    table = fairness.by_group(out.changes, out.outcomes).set_index("group")
    a, b = table.loc["served.g=a"], table.loc["served.g=b"]
    assert (a["n"], a["points before"], a["points after"]) == (20, 500, pytest.approx((2 * 3 + 5) / 20 * 1000))
    assert (a["caught before"], a["caught after"]) == (1.0, 0.8)
    assert (a["false alarms before"], a["false alarms after"]) == (1.0, 0.5)
    assert (b["caught before"], b["caught after"]) == (0.5, 1.0)
    assert np.isnan(b["false alarms before"])
    assert table.index.tolist() == ["served.g=a", "served.g=b"]  # who is saved least comes first


# worlds that are known


def test_the_planted_cohort_is_found_in_the_sample_world():
    """The model in use misses more for one language: found, and no other served language or age is blamed for it."""
    planted = json.loads((Path(__file__).parent / "planted_truth.json").read_text())["harmed_cohort"]["group"]
    made = sample_world()
    items, truth = made["items"], json.loads((Path(__file__).parent / "planted_truth.json").read_text())["event_items"]
    y = items["item_id"].isin(truth).astype(int)
    key, served = items[["item_id", "component"]], {c: c.replace("cohort.", "served.") for c in schema.cohorts(items)}
    world = fairness.Given(
        items=items, components=made["components"], population=made["population"],
        labels=key.assign(tied=False, label=y),
        judgements=items[["item_id", "component", "unit_id", "score", *served]].rename(columns=served).assign(
            feedback_id=items["item_id"], rater_id=items["item_id"], channel="panel", label=y, weight=1.0),
        predictions=key.assign(split="test", baseline=items["score"], candidate=items["score"]),
        trained=key.assign(use="exploit", weight=1.0),
    )  # fmt: skip
    out = fairness.measure(world, settings(min_people=5))
    bad = out.gates[(out.gates["verdict"] == "fail") & out.gates["measure"].str.contains("true positive rate gap")]
    assert planted in set(bad["group"])
    assert set(bad.loc[bad["value"] < 0, "group"]) == {planted}
    said = fairness.answer(out.gates, out.leads)
    assert cohorts.readable(planted) in said
    assert len(said.split()) <= 150
    looked = fairness.search(world, settings(min_people=5), fairness.Search(loss="miss"))
    slices = looked.table.loc[looked.table["verdict"] == "fail", "slice"]
    assert slices.str.startswith(planted).any()
    assert slices[slices.str.startswith("served.")].str.startswith(planted).all()


def test_raters_of_popquorn_are_compared_in_five_cohorts():
    """262 raters in many small groups: no served cohort, so raters gate; small groups are named and not numbered."""
    folder = Path(__file__).parents[2] / "shared" / "data" / "popquorn"
    if not folder.is_dir():
        pytest.skip("shared/data is absent")
    ratings = pd.read_csv(folder / "offensiveness_ratings.csv")
    said = pd.read_csv(folder / "offensiveness_model_v0_predictions.csv").set_index("instance_id")
    sides = [c for c in ("gender", "race", "age", "occupation", "education") if c in ratings]
    assert len(sides) == 5
    score = said["apc_prob_offensive"].reindex(ratings["instance_id"]).to_numpy()
    y = (ratings["offensiveness"] >= 3).astype(int).to_numpy()
    item = ratings["instance_id"].astype(str)
    world = given(y=y, before=score, after=score, item=item, rater=ratings["user_id"].astype(str),
                  side={c: ratings[c] for c in sides}, p=pd.Series(y).groupby(item).transform("mean"))  # fmt: skip
    out = fairness.measure(world, settings(min_people=10))
    assert out.gates["group"].str.startswith("rater.").all()
    assert {f"rater.{c}={cohorts.words(ratings[c]).iloc[0]}" for c in sides} <= set(out.groups["group"])
    assert (out.groups["low"].isna() | (out.groups["low"] <= out.groups["value"] + 1e-9)).all()
    few = ratings.groupby("race")["user_id"].nunique()
    for race in few.index[few < 10]:
        own = out.groups[out.groups["group"] == f"rater.race={race}"]
        assert len(own)
        assert own["value"].isna().all()
