"""decide: rules in three values, sign-offs, open questions and the record, against hand-made evidence."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest
import yaml
from conftest import ROOT

from hfkit import decide
from hfkit.decide.rules import DEFAULT
from hfkit.shared import evidence as ev
from hfkit.shared.errors import ParamError

LEVEL, CHANGE = "accuracy worst group (candidate)", "false positive rate change"
BOUNDS = {  # of a change of which lower is better, margin 0.1
    "pass": (-0.02, 0.04), "inconclusive": (-0.2, 0.3), "fail": (0.16, 0.61), "harmful": (0.02, 0.3),
    "harmful but within": (0.01, 0.05),
}  # fmt: skip
VERDICT = {"harmful": "inconclusive", "harmful but within": "pass"}


def statements(*kinds, room="fairness"):
    """One change a kind of BOUNDS."""
    rows = [
        ev.row(CHANGE, value=sum(BOUNDS[k]) / 2, low=BOUNDS[k][0], high=BOUNDS[k][1], n=100, better="lower",
               verdict=VERDICT.get(k, k), component="safety", group=f"served.language=l{i}", note="about 400 such rows")
        for i, k in enumerate(kinds)
    ]  # fmt: skip
    return ev.table(rows).assign(room=room)


def rule(**more):
    given = {"room": "fairness", "measure": "* change", "need": "no harm", "why": "no group is worse off", **more}
    return decide.Rule(**given)


def state(rows, **more):
    return decide.apply_rules(rows, [rule(**more)]).loc[0, "state"]


def signed(*records, roles=("legal",), digest="d"):
    return decide.check_signoffs(records, roles=list(roles), digest=digest)


def sign(digest="d", role="legal", decision="approve", **more):
    record = {"role": role, "decision": decision, "evidence": digest, "name": "A", "date": "2026-07-01", **more}
    return f"{role}-{decision}.json", record


@pytest.mark.parametrize(
    ("need", "kinds", "expected"),
    [
        ("pass", ["pass", "pass"], "met"),
        ("pass", ["pass", "inconclusive"], "not shown"),
        ("pass", ["pass", "fail"], "not met"),
        ("pass", ["inconclusive", "fail"], "not met"),
        ("pass", ["harmful but within"], "met"),
        ("pass", [], "not shown"),
        ("no harm", ["pass", "pass"], "met"),
        ("no harm", ["pass", "inconclusive"], "not shown"),
        ("no harm", ["pass", "harmful"], "not met"),
        ("no harm", ["pass", "harmful but within"], "not met"),
        ("no harm", ["pass", "fail"], "not met"),
        ("no harm", ["inconclusive"] * 9, "not shown"),
        ("no harm", [], "not shown"),
    ],
)
def test_a_rule_is_met_not_met_or_not_shown(need, kinds, expected):
    assert state(statements(*kinds), need=need) == expected


@pytest.mark.parametrize(("at_least", "expected"), [(1, "met"), (2, "met"), (3, "not shown"), (4, "not shown")])
def test_at_least_says_how_many_must_exclude_harm(at_least, expected):
    assert state(statements("pass", "pass", "inconclusive"), at_least=at_least) == expected


def test_at_least_never_outvotes_a_harm():
    assert state(statements("pass", "pass", "fail"), at_least=1) == "not met"


def test_ignorance_never_passes():
    """One passing row of another room and three signatures: the default rules must not ship that."""
    row = ev.row("cost per 1,000 change", value=-50.0, low=-80.0, high=-20.0, n=500, better="lower", verdict="pass",
                 component="safety")  # fmt: skip
    checked = decide.apply_rules(ev.table([row]).assign(room="retrain"), decide.parse_rules())
    assert checked.set_index("rule").loc["the new model is cheaper for the people served", "state"] == "met"
    assert (checked["state"] != "met").sum() == len(DEFAULT) - 1
    everyone = [sign(role=r) for r in ("product", "legal", "ethics")]
    decision = decide.conclude(checked, signed(*everyone, roles=("product", "legal", "ethics")))
    assert decision.verdict == "hold"


def test_rows_without_a_target_never_count():
    rows = statements("pass").assign(verdict="info")
    checked = decide.apply_rules(rows, [rule(need="pass")])
    assert checked.loc[0, ["state", "rows"]].tolist() == ["not shown", 0]
    assert "no statement of the fairness page is judged" in checked.loc[0, "reason"]


def test_the_room_of_a_rule_counts():
    assert state(statements("fail", room="calibration"), need="pass") == "not shown"


def test_what_is_not_shown_holds_or_asks():
    rows = statements("inconclusive")
    held = decide.conclude(decide.apply_rules(rows, [rule()]), signed(sign()))
    assert (held.verdict, held.questions) == ("hold", [])
    asked = decide.apply_rules(rows, [rule(if_not_shown="ask")])
    opened = decide.conclude(asked, signed(sign()))
    assert (opened.verdict, opened.questions) == ("hold", ["no group is worse off"])
    accepted = decide.conclude(asked, signed(sign(accepts=["no group is worse off"])))
    assert (accepted.verdict, accepted.questions) == ("ship", [])
    other = decide.conclude(asked, signed(sign(accepts=["another question"])))
    assert other.verdict == "hold"


@pytest.mark.parametrize(
    "records",
    [
        [sign("old", accepts=["no group is worse off"])],  # signed other evidence
        [sign(decision="refuse", accepts=["no group is worse off"])],
        [sign(role="intern", accepts=["no group is worse off"]), sign()],  # not a role that signs
    ],
)
def test_only_an_approval_of_this_evidence_by_a_required_role_accepts(records):
    asked = decide.apply_rules(statements("inconclusive"), [rule(if_not_shown="ask")])
    assert decide.conclude(asked, signed(*records)).verdict == "hold"


def test_a_failing_rule_is_never_a_question():
    checked = decide.apply_rules(statements("fail"), [rule(if_not_shown="ask")])
    decision = decide.conclude(checked, signed(sign(accepts=["no group is worse off"])))
    assert (decision.verdict, decision.questions) == ("hold", [])


def test_rollback_beats_hold_and_comes_first_among_the_reasons():
    rules = [rule(why="a hold"), rule(why="a rollback", otherwise="rollback")]
    decision = decide.conclude(decide.apply_rules(statements("fail"), rules), signed(sign()))
    assert decision.verdict == "rollback"
    assert [r.split(":")[0] for r in decision.reasons] == ["A rollback", "A hold"]


@pytest.mark.parametrize("records", [[], [sign(decision="refuse")], [sign("old")], [("x.json", ["?"])]])
def test_a_missing_or_refused_signature_never_softens_a_rollback(records):
    checked = decide.apply_rules(statements("fail"), [rule(otherwise="rollback")])
    assert decide.conclude(checked, signed(*records)).verdict == "rollback"


@pytest.mark.parametrize("records", [[], [sign(decision="refuse")], [sign("old")], [("x.json", ["?"]), sign()]])
def test_a_missing_refused_outdated_or_unreadable_signature_holds(records):
    checked = decide.apply_rules(statements("pass"), [rule()])
    decision = decide.conclude(checked, signed(*records))
    assert decision.verdict == "hold"
    assert len(decision.reasons) == 1


def test_everything_met_and_signed_ships():
    decision = decide.conclude(decide.apply_rules(statements("pass"), [rule()]), signed(sign()))
    assert decision == ("ship", ["Every rule is met and every role has signed."], [], [])


@pytest.mark.parametrize("order", list(itertools.permutations([sign(), sign(decision="refuse"), sign("old")])))
def test_a_refusal_beats_an_approval_whatever_the_order(order):
    named = [(file, record | {"name": record["decision"]}) for file, record in order]
    assert signed(*named)[["status", "name"]].to_numpy().tolist() == [["refused", "refuse"]]


def test_a_refusal_of_other_evidence_does_not_bind_this_one():
    assert signed(sign(), sign("old", decision="refuse"))["status"].tolist() == ["approved"]


def test_somebody_must_sign():
    with pytest.raises(ParamError, match="at least one role"):
        signed(sign(), roles=())


def test_a_signoff_holds_for_exactly_the_evidence_it_signed():
    rows = statements("pass")
    digest = decide.evidence_digest(rows, [rule()], "m")
    assert signed(sign(digest), roles=("legal", "ethics"), digest=digest)["status"].tolist() == ["approved", "missing"]
    changes = [
        decide.evidence_digest(rows.assign(value=0.500001), [rule()], "m"),
        decide.evidence_digest(rows, [rule(need="pass")], "m"),
        decide.evidence_digest(rows, [rule(if_not_shown="ask")], "m"),
        decide.evidence_digest(rows, [rule()], "other model"),
        decide.evidence_digest(rows.iloc[:0], [rule()], "m"),
    ]
    assert len({digest, *changes}) == 6
    for changed in changes:
        assert signed(sign(digest), digest=changed)["status"].tolist() == ["outdated"]
    assert digest == decide.evidence_digest(rows.iloc[::-1], [rule()], "m")
    assert digest == decide.evidence_digest(rows.assign(value=rows["value"] * (1 + 1e-12)), [rule()], "m")


@pytest.mark.parametrize(
    ("key", "name", "near"),
    [
        ("room", "fairnes", "fairness"),
        ("measure", "false positive rate chang", "false positive rate change"),
        ("measure", "log loss difference*", "log loss change"),
        ("component", "saftey", "safety"),
        ("group", "served.language=l9", "served.language=l0"),
        ("group", "servd.*", "served."),
    ],
)
def test_a_name_that_does_not_exist_is_an_error_with_the_nearest(key, name, near):
    rows = statements("pass")
    with pytest.raises(ParamError, match=f"expected a {key} that exists") as caught:
        decide.check_names([rule(**{"room": "fairness", key: name})], rows, ["safety", "policy"])
    assert near in caught.value.todo
    assert caught.value.where == f"params.yaml: decide.rules[0].{key}"


def test_names_that_these_data_happen_not_to_have_are_no_error():
    rules = [
        rule(group="served.*"),
        rule(measure="AUC change"),
        rule(component="all"),
        rule(room="*", measure="shift, *"),
    ]
    decide.check_names(rules, statements("pass"), ["safety"])
    decide.check_names(decide.parse_rules(), statements().iloc[:0], [])


@pytest.mark.parametrize("bad", [{"room": "x"}, {"room": "x", "measure": "y", "need": "maybe", "why": "z"},
                                 {"room": "x", "measure": "y", "need": "pass", "why": ""},
                                 {"room": "x", "measure": "y", "need": "no harm", "why": "z", "at_least": 0},
                                 {"room": "x", "measure": "y", "need": "pass", "why": "z", "if_not_shown": "ship"},
                                 {"room": "x", "measure": "y", "need": "pass", "why": "z", "extra": 1}])  # fmt: skip
def test_a_bad_rule_names_itself(bad):
    with pytest.raises(ParamError, match=r"decide.rules\[0\]"):
        decide.parse_rules([bad])


def test_the_old_need_names_its_successor():
    with pytest.raises(ParamError, match="Write `need: no harm`"):
        decide.parse_rules([{"room": "x", "measure": "y", "need": "no fail", "why": "z"}])


def test_two_rules_must_not_ask_by_the_same_name():
    one = {"room": "fairness", "measure": "*", "need": "pass", "why": "the same"}
    with pytest.raises(ParamError, match="'the same' twice"):
        decide.parse_rules([one, {**one, "need": "no harm"}])


def test_the_default_rules_are_those_of_the_sample_world():
    assert yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))["decide"]["rules"] == DEFAULT


def test_reasons_and_the_answer_are_sentences_that_say_what_would_change_it_and_what_is_open():
    rules = [rule(), rule(measure="accuracy change", why="it decides as well", if_not_shown="ask")]
    checked = decide.apply_rules(statements("fail", "pass"), rules)
    decision = decide.conclude(checked, signed())
    assert decision.reasons == [
        "No group is worse off: not met. 1 of 2 comparisons failed. For people served with language l0, safety: the "
        "share of cases without the event that get a false alarm rises by 38 percentage points (16 to 61).",
        "It decides as well: not shown, and nobody has accepted that. "
        "No statement of the fairness page is judged on it",
        "Nobody has signed for legal.",
    ]  # fmt: skip
    text = decide.answer("v1", decision)
    assert text.startswith("HOLD v1. 3 reasons: (1) No group is worse off: not met.")
    assert "What would change it: No group is worse off: mend that; It decides as well: " in text
    assert text.endswith("Open, for a signer to accept by name: it decides as well.")


@pytest.mark.parametrize(
    ("kinds", "change"),
    [
        (["fail", "pass"], "mend that"),
        (["fail", "harmful", "fail"], "mend that first, then 2 more on the fairness page"),
        (["harmful"], "mend that, or show that it stays within the margin: about 400 such rows"),
    ],
)
def test_what_would_change_a_rule_that_is_not_met(kinds, change):
    assert decide.apply_rules(statements(*kinds), [rule()]).loc[0, ["state", "change"]].tolist() == ["not met", change]


def test_evidence_of_the_decision_never_calls_what_is_not_shown_a_pass():
    rules = [
        rule(why="a"),
        rule(why="b", need="pass", measure="accuracy change"),
        rule(why="c", need="pass", room="audit"),
    ]
    checked = decide.apply_rules(statements("fail"), rules)
    rows = decide.as_evidence("hold", checked, signed())
    assert rows["verdict"].tolist() == ["info", "fail", "inconclusive", "inconclusive", "inconclusive"]
    assert rows["group"].tolist() == ["all", "rule=a", "rule=b", "rule=c", "role=legal"]


def test_promises_are_the_bounds_the_evidence_supports():
    rows = ev.table([
        ev.row("AUC (candidate)", value=0.8, low=0.75, high=0.85, n=99, better="higher", verdict="pass"),
        ev.row("ECE (candidate)", value=0.02, low=0.01, high=0.04, n=99, better="lower", verdict="pass"),
        ev.row("log loss (candidate)", value=0.2, low=0.1, high=float("inf"), n=99, better="lower", verdict="pass"),
        ev.row("Brier score (candidate)", value=0.2, low=0.1, high=0.3, n=99, better="lower", verdict="inconclusive"),
    ]).assign(room="calibration")  # fmt: skip
    rules = [decide.Rule(room="calibration", measure="*", need="pass", why=w) for w in "ab"]
    promised = {p["measure"]: p["promised"] for p in decide.promises(rows, rules)}
    assert promised == {"AUC (candidate)": 0.75, "ECE (candidate)": 0.04}


def test_a_row_of_the_table_is_proven_before_it_is_large():
    rows = pd.concat([statements("inconclusive"), statements("harmful", "fail")], ignore_index=True)
    assert ev.proven_first(rows)["low"].tolist() == [0.16, 0.02, -0.2]
