"""card: what is printed gives no suppressed count away, editions point at nobody, and words and rates are right."""

from __future__ import annotations

import copy
import json

import numpy as np
import pandas as pd
import pytest
from attack import attack
from conftest import ROOT

from hfkit import card
from hfkit.card import editions
from hfkit.card.page import group_name
from hfkit.card.protect import BLANK, FEW, SHOWN, WITHHELD, Rounding, recovered, suppress
from hfkit.card.record import widening
from hfkit.card.sheet import EVENTS, PEOPLE, Fact, Sheet, change_fact
from hfkit.shared import intervals, measures, tables

MARGIN = {m.name: 0.1 for m in measures.RATES}
PROJECT = {"name": "It", "owners": [], "contact": "", "purpose": "", "not_for": "", "cadence": "", "risk": "",
           "min_people": 5, "labels": {}}  # fmt: skip
COMPONENTS = pd.DataFrame({"component": ["c"], "event": ["it is bad"]})
GROUPS = ["a & b", "k=v", "x|y", "one, two", '"', "not stated"]


def world(seed: int, *, n: int = 400, raters: int = 60, without: str = "") -> dict[str, pd.DataFrame]:
    """The tables that the card reads: n test cases of two attributes, half of their groups small, labels by raters.

    Without one of the raters, the labels of that person's cases are what the others say.
    """
    rng = np.random.default_rng(seed)
    day = pd.Timestamp("2026-01-01", tz="UTC")
    groups = pd.DataFrame({
        "served.g": rng.choice(GROUPS, n, p=rng.dirichlet(np.full(len(GROUPS), 0.6))),
        "served.h": rng.choice(["u", "v", "w"], n, p=[0.9, 0.08, 0.02]),
    })  # fmt: skip
    votes = pd.DataFrame({"item": np.repeat(np.arange(n), 3), "rater": rng.integers(0, raters, 3 * n),
                          "label": (rng.random(3 * n) < 0.35).astype(int)})  # fmt: skip
    acted = {m: (rng.random(n) < s).astype(int) for m, s in (("baseline", 0.3), ("candidate", 0.35))}
    votes = votes[votes["rater"].map("r{}".format) != without]
    event = votes.groupby("item")["label"].mean().round().reindex(range(n))
    items = pd.DataFrame({"item_id": [f"i{k}" for k in range(n)], "component": "c", "unit_id": None})
    rows = items[["component", "item_id"]].assign(
        perspective="served", person=np.arange(n), event=event.fillna(0).astype(int), **acted,
        **{c: f"{c}=" + groups[c].map(_name) for c in groups},
    )[event.notna().to_numpy()]  # fmt: skip
    answers = pd.DataFrame({
        "feedback_id": [f"f{k}" for k in votes.index], "item_id": items["item_id"].to_numpy()[votes["item"]],
        "rater_id": votes["rater"].map("r{}".format), "label": votes["label"], "value": votes["label"].astype(str),
        "created_at": day, "rater_kind": "human", "for_publication": 1,
        "rater.z": np.where(votes["rater"] < 8, "few", "many"),
    }).reset_index(drop=True)  # fmt: skip
    judgements = answers.assign(component="c", unit_id=None, weight=1.0)
    who = answers[["rater_id", "rater.z"]].drop_duplicates().rename(columns={"rater.z": "cohort.z"})
    heard = who["cohort.z"].value_counts()
    measured = ["component", "group", "numerator", "denominator", "low", "high"]
    return {
        "main_rows": rows, "evidence": _verdicts(rows), "groups": pd.DataFrame(columns=measured, dtype=float),
        "coverage": pd.DataFrame({"group": [f"rater.z={g}" for g in heard.index], "n": heard.to_numpy(),
                                  "reference": [0.7, 0.3][: len(heard)], "verdict": "inconclusive"}),
        "feedback": answers.drop(columns=["rater.z", "label"]), "raters": who,
        "judgements": pd.concat([judgements, groups.iloc[votes["item"]].reset_index(drop=True)], axis=1),
        "items": items.assign(score=0.5, served_at=day), "labels": rows[["component"]],
        "rejects": pd.DataFrame({"table": ["feedback"] * 14, "reason": ["withdrawn"] * 3 + ["future"] * 11}),
        "training": pd.DataFrame({"component": ["c"], "rows": [n // 2]}),
    }  # fmt: skip


def _name(value: str) -> str:
    return value if not set('&="') & set(value) else json.dumps(value)


def _verdicts(rows: pd.DataFrame) -> pd.DataFrame:
    """Verdicts on the change of two rates: beyond, within, or neither by a rough interval."""
    out = []
    for column in ("served.g", "served.h"):
        for group, part in rows.groupby(column):
            for rate, event in (("true positive rate", 1), ("false positive rate", 0)):
                mine = part[part["event"] == event]
                sign, n = (1 if event == 0 else -1), max(len(mine), 1)
                worse = sign * (mine["candidate"].sum() - mine["baseline"].sum()) / n
                half = 1 / np.sqrt(n)
                verdict = "fail" if worse - half > 0.1 else "pass" if worse + half < 0.1 else "inconclusive"
                out.append(["c", group, f"{rate} change", verdict])
    return pd.DataFrame(out, columns=["component", "group", "measure", "verdict"])


def made(given: dict[str, pd.DataFrame], rounding: Rounding, last=(), date="2026-01-01"):
    sheet = card.exact(given, MARGIN, 0.8)
    rows = card.protected(sheet, given, rounding, last=list(last), date=date)
    rules = pd.DataFrame({"rule": ["it is good"], "state": ["met"]})
    return sheet, rows, card.record(rows, PROJECT, {"release": "v1", "decision": "hold"}, rules, rounding)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("below", "base"), [(10, 5), (10, 3)])
def test_an_attacker_who_reads_the_card_recovers_no_suppressed_count(seed, below, base):
    sheet, _, record = made(world(seed, n=150 + 60 * seed), Rounding(below=below, base=base))
    given_away, hidden = attack(json.loads(json.dumps(record)), MARGIN)
    assert given_away == {}
    assert len(hidden) > 10
    assert {k for k, n in sheet.counts.items() if n < below and not k[3].startswith(("missed", "left alone"))} <= hidden


def test_the_attacker_is_no_straw_man():
    """Without rounding and without further suppression it finds what a total gives away."""
    sheet, _, record = made(world(0, n=300), Rounding(below=10, base=5))
    naive = copy.deepcopy(record)
    naive["protection"]["rounded_to"] = 1
    for row in naive["rows"]:
        for name, count in row["counts"].items():
            n = sheet.counts[(*row["row"], name)]
            count.update({"status": "few", "n": None} if n < 10 else {"status": "shown", "n": n})
        row["rates"], row["verdicts"] = {}, {}
    given_away, _ = attack(naive, MARGIN)
    assert len(given_away) > 5
    assert all(sheet.counts[key] == n for key, n in given_away.items())


def test_a_count_that_totals_give_away_leads_to_more_suppression():
    """10 to 12 and 10 to 12 make 22 to 24 at least 20: of a total printed as 20, the rest would be 0 to 2, never 9."""
    sheet = Sheet({("heard", "all", g, PEOPLE): n for g, n in {"all": 27, "a": 13, "b": 14, "c": 0}.items()})
    whole = ("heard", "all", "all", PEOPLE)
    sheet.total(whole, [k for k in sheet.counts if k != whole])
    rounding = Rounding(below=10, base=5)
    plain = {k: FEW if n < 10 else SHOWN for k, n in sheet.counts.items()}
    assert recovered(sheet, plain, rounding) == []  # 25 to 27 less twice 13 to 17
    sheet.facts.append(Fact({k: 1.0 for k in sheet.counts if k[2] in "ab"}, 27.0, 27.0))
    assert recovered(sheet, plain, rounding) == [("heard", "all", "c", PEOPLE)]
    status = suppress(sheet, rounding)
    assert sorted(status.values()) == [FEW, SHOWN, SHOWN, WITHHELD] or WITHHELD in status.values()
    assert recovered(sheet, status, rounding) == []


@pytest.mark.parametrize(("verdict", "holds"), [("fail", 1), ("pass", -1)])
def test_a_verdict_tells_the_attacker_on_which_side_of_the_margin_a_change_lies(verdict, holds):
    rate = next(m for m in measures.RATES if m.name == "false positive rate")
    fact = change_fact(("served", "c", "g"), rate, verdict, 0.1)
    n = {"false alarms (baseline)": 20, "false alarms (candidate)": 31, "cases without the event": 100}
    value = sum(factor * n[key[3]] for key, factor in fact.terms.items())
    assert value == pytest.approx(1.0)  # 11 more of 100 where 10 are tolerated
    assert (fact.low <= value <= fact.high) == (holds == 1)


def test_a_row_of_few_people_is_blank_however_many_cases_they_have():
    given = world(3)
    given["main_rows"].loc[given["main_rows"]["served.h"] == "served.h=u", "person"] = 1
    _, rows, _ = made(given, Rounding())
    row = next(r for r in rows if r["row"][2] == "served.h=u")
    assert row["counts"][PEOPLE] == {"status": FEW, "n": None}
    assert {c["status"] for name, c in row["counts"].items() if name != PEOPLE} == {BLANK}
    assert (row["rates"], row["verdicts"]) == ({}, {})
    table = card.by_group(rows, "c", {}, MARGIN, Rounding())
    assert table.loc[table["group"] == "h u", "share"].tolist() == ["fewer than 10 people"]


def test_rates_and_ranges_follow_from_the_printed_counts_alone():
    _, rows, _ = made(world(1, n=900), Rounding())
    everyone = next(r for r in rows if r["row"] == ["served", "c", "all"])
    n, k = everyone["counts"][EVENTS]["n"], everyone["counts"]["caught (candidate)"]["n"]
    assert (n % 5, k % 5) == (0, 0)
    rate = everyone["rates"]["true positive rate (candidate)"]
    expected = intervals.rate(k, n)
    assert [rate[x] for x in ("share", "low", "high")] == pytest.approx([float(v) for v in expected[:3]], abs=1e-4)


def test_where_people_repeat_the_ranges_are_wider():
    """Exact intervals twice as wide as those of independent rows: a design effect of four."""
    alone = intervals.rate(30, 100)
    middle, half = (alone.low + alone.high) / 2, alone.high - alone.low
    groups = pd.DataFrame({"component": ["c"], "group": ["served.g=a"], "numerator": [30.0], "denominator": [100.0],
                           "low": [middle - half], "high": [middle + half]})  # fmt: skip
    assert widening(groups) == {("c", "served.g=a"): 4.0}


# editions


def test_sketches_count_who_moved_at_least_and_never_too_many():
    rng = np.random.default_rng(0)
    who = pd.Series([f"p{k}" for k in rng.integers(0, 300, 2000)])
    state = pd.Series(rng.integers(0, 9, 2000).astype(str))
    old = editions.sketch(who, state)
    assert editions.moved(old, editions.sketch(*(s.sample(frac=1, random_state=1) for s in (who, state)))) == 0
    for gone in (1, 3, 9, 40):
        left = ~who.isin(who.unique()[:gone])
        count = editions.moved(old, editions.sketch(who[left], state[left]))
        assert 1 <= count <= gone
        assert count > gone / 2


def test_after_one_withdrawal_every_row_stays_as_published():
    first = world(2)
    _, rows, before = made(first, Rounding())
    for k in range(0, 60, 6):
        _, _, after = made(world(2, without=f"r{k}"), Rounding(), last=rows, date="2026-02-01")
        assert after["rows"] == before["rows"]


def test_the_same_answers_make_the_same_card():
    _, rows, before = made(world(2), Rounding())
    _, _, again = made(world(2), Rounding(), last=rows)
    assert again == before


def test_many_new_people_make_new_rows_and_a_few_in_one_group_do_not():
    """Forty raters more, who answer on every group but one: that group stays, the others and everyone are new."""
    first = world(4, n=600)
    _, rows, _ = made(first, Rounding())
    second = {k: t.copy() for k, t in first.items()}
    quiet = "a & b"
    for name in ("judgements", "feedback"):
        more = second["judgements"][second["judgements"]["served.g"] != quiet].head(400)
        more = more.assign(rater_id=[f"new{k % 40}" for k in range(400)], feedback_id=[f"n{k}" for k in range(400)])
        second[name] = pd.concat([second[name], more[second[name].columns]], ignore_index=True)
    one = (
        second["judgements"][second["judgements"]["served.g"] == quiet]
        .head(1)
        .assign(rater_id="lonely", feedback_id="x")
    )
    second["judgements"] = pd.concat([second["judgements"], one], ignore_index=True)
    second["items"] = pd.concat([second["items"], second["items"].assign(item_id=lambda t: "later " + t["item_id"])])
    _, again, _ = made(second, Rounding(), last=rows, date="2026-02-01")
    dates = {r["row"][2]: r["as_of"] for r in again if r["row"][0] == "served"}
    assert dates['served.g="a & b"'] == "2026-01-01"
    assert {dates["served.h=u"], dates["all"]} == {"2026-02-01"}
    table = card.by_group(again, "c", {"served.g": "group"}, MARGIN, Rounding())
    assert "group a & b (as of 2026-01-01)" in set(table["group"])


# words


def test_groups_are_called_what_people_call_them():
    labels = {"served.language=es": "Spanish speakers", "served.age": "age"}
    assert group_name("served.language=es", labels) == "Spanish speakers"
    assert group_name('served.age="18 & over"', labels) == "age 18 & over"


def test_the_page_says_what_nobody_declared_and_for_whom_it_is_worse():
    about = card.about(PROJECT, COMPONENTS, ("2026-01-05", "2026-07-05"), assumed=False).set_index("question")["answer"]
    assert about["What the model is for"] == "not declared"
    assert about["Cases from"] == "2026-01-05 to 2026-07-05"
    row = {"row": ["served", "c", "served.g=a"], "as_of": "1", "counts": {},
           "verdicts": {"false positive rate": "fail"},
           "rates": {"false positive rate (baseline)": {"bound": "below", "share": 0.2},
                     "false positive rate (candidate)": {"share": 0.6, "low": 0.5, "high": 0.7}}}  # fmt: skip
    assert card.worse([row], {"c": "Replies"}) == [
        "Replies, g a: the share of cases without the event that get a false alarm "
        "goes from below 20\u00a0% to 60\u00a0% (50 to 70)."
    ]
    assert "not proof" in card.worse([], {})[0]


@pytest.mark.skipif(not (ROOT / "data" / "card" / "card.json").is_file(), reason="run `make repro` first")
def test_the_sample_worlds_card_gives_no_suppressed_count_away_and_its_page_no_way_to_the_team():
    record = tables.read_record("card", "card")
    given_away, hidden = attack(record, MARGIN)
    assert given_away == {}
    assert len(hidden) > 50
    page = (ROOT / "reports" / "card.html").read_text("utf-8")
    assert "href" not in page.replace('href="#main"', "")
    assert "<details" not in page
