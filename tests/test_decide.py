"""decide: rules, sign-offs and the record, against hand-made evidence."""

from __future__ import annotations

import pandas as pd
import pytest

from hfkit import decide
from hfkit.shared import evidence as ev
from hfkit.shared.errors import ParamError


def statements(**verdicts):
    rows = [
        ev.row(m, value=0.5, low=0.4, high=0.6, n=100, better="higher", verdict=v, component="safety")
        for m, v in verdicts.items()
    ]
    return ev.table(rows).assign(room="fairness")


def rule(**more):
    return decide.Rule(**{"room": "fairness", "measure": "*", "need": "no fail", "why": "for everyone", **more})


SIGNED = pd.DataFrame({"role": ["legal"], "status": ["approved"]})


def test_everything_passes_and_is_signed_so_it_ships():
    checked = decide.apply_rules(statements(tpr="pass", fpr="pass"), [rule(need="pass")])
    assert checked.loc[0, ["rows", "passed", "failed", "unknown", "met"]].tolist() == [2, 2, 0, 0, "yes"]
    assert decide.decide(checked, SIGNED)[0] == "ship"


@pytest.mark.parametrize(
    ("need", "verdict", "expected"),
    [("pass", "cannot tell", "hold"), ("no fail", "cannot tell", "ship"), ("pass", "fail", "hold"),
     ("no fail", "fail", "hold"), ("no fail", "pass", "ship")],
)  # fmt: skip
def test_cannot_tell_is_tolerated_only_where_the_rule_says_so(need, verdict, expected):
    checked = decide.apply_rules(statements(tpr="pass", fpr=verdict), [rule(need=need)])
    assert decide.decide(checked, SIGNED)[0] == expected


def test_a_rule_without_evidence_is_not_met_where_it_needs_a_pass():
    nothing = rule(room="experiment", need="pass")
    checked = decide.apply_rules(statements(tpr="pass"), [nothing])
    assert checked.loc[0, "met"] == "no"
    assert checked.loc[0, "reason"] == "no evidence on * in experiment"


def test_info_rows_never_decide():
    checked = decide.apply_rules(statements(tpr="info"), [rule(need="pass")])
    assert checked.loc[0, "rows"] == 0
    assert checked.loc[0, "met"] == "no"


def test_rollback_beats_hold_and_comes_first_among_the_reasons():
    rules = [rule(why="a hold"), rule(why="a rollback", otherwise="rollback")]
    verdict, reasons = decide.decide(decide.apply_rules(statements(tpr="fail"), rules), SIGNED)
    assert verdict == "rollback"
    assert [r.split("(")[0] for r in reasons] == ["not met: a rollback ", "not met: a hold "]


def sign(digest, role="legal", decision="approve"):
    return (f"{role}.json", {"role": role, "decision": decision, "evidence": digest, "name": "A", "date": "2026-07-01"})


def test_a_signoff_holds_for_exactly_the_evidence_it_signed():
    rows = statements(tpr="pass")
    digest = decide.evidence_digest(rows, [rule()], "m")
    status = decide.check_signoffs([sign(digest)], roles=["legal", "ethics"], digest=digest)
    assert status["status"].tolist() == ["approved", "missing"]
    changes = [
        decide.evidence_digest(rows.assign(value=0.500001), [rule()], "m"),
        decide.evidence_digest(rows, [rule(need="pass")], "m"),
        decide.evidence_digest(rows, [rule()], "other model"),
        decide.evidence_digest(rows.iloc[:0], [rule()], "m"),
    ]
    assert len({digest, *changes}) == 5
    for changed in changes:
        assert decide.check_signoffs([sign(digest)], roles=["legal"], digest=changed)["status"].tolist() == ["outdated"]


def test_the_digest_does_not_depend_on_row_order():
    rows = statements(tpr="pass", fpr="fail")
    assert decide.evidence_digest(rows, [rule()], "m") == decide.evidence_digest(rows.iloc[::-1], [rule()], "m")


def test_a_refusal_beats_an_approval_and_holds():
    status = decide.check_signoffs([sign("d"), sign("d", decision="refuse")], roles=["legal"], digest="d")
    assert status["status"].tolist() == ["refused"]
    checked = decide.apply_rules(statements(tpr="pass"), [rule()])
    assert decide.decide(checked, status) == ("hold", ["sign-off legal: refused"])


def test_a_record_that_is_no_signoff_is_listed_and_holds():
    status = decide.check_signoffs([("x.json", ["?"]), sign("d")], roles=["legal"], digest="d")
    assert status["status"].tolist() == ["unreadable", "approved"]
    assert decide.decide(decide.apply_rules(statements(tpr="pass"), [rule()]), status)[0] == "hold"


def test_promises_are_the_bounds_the_evidence_supports():
    promised = decide.promises(statements(tpr="pass", fpr="fail"), [rule(), rule()])
    assert promised == [{"measure": "tpr", "component": "safety", "group": "all", "better": "higher", "promised": 0.4}]


@pytest.mark.parametrize("bad", [{"room": "x"}, {"room": "x", "measure": "y", "need": "maybe", "why": "z"},
                                 {"room": "x", "measure": "y", "need": "pass", "why": "z", "extra": 1}])  # fmt: skip
def test_a_bad_rule_names_itself(bad):
    with pytest.raises(ParamError, match=r"decide.rules\[0\]"):
        decide.parse_rules([bad])
    with pytest.raises(ParamError, match="at least one rule"):
        decide.parse_rules([])


def test_evidence_of_the_decision_says_what_holds():
    checked = decide.apply_rules(statements(tpr="fail"), [rule()])
    status = decide.check_signoffs([], roles=["legal"], digest="d")
    rows = decide.as_evidence("hold", checked, status)
    assert rows["verdict"].tolist() == ["info", "fail", "cannot tell"]
    assert rows.loc[0, "note"] == "hold"
