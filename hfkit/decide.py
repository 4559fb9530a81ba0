"""May we ship it, and who says so? Rules over the evidence, sign-offs bound to it, and the record of the release.

A rule selects evidence rows and says what they need. The decision is the worst consequence of a rule that is not met:
`rollback` before `hold` before `ship`. A missing or a refused sign-off holds. Nothing here crashes on a failed gate: a
failed gate is the verdict "hold", with its reasons.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from hfkit.shared import evidence as ev
from hfkit.shared.errors import ParamError

ORDER = ("ship", "hold", "rollback")


class Rule(BaseModel):
    """One rule of params.yaml: which evidence (shell-style patterns), what it needs, what follows otherwise, and why.

    `need`: "pass" = at least one row, and every row passes; "no fail" = no row fails, "cannot tell" is tolerated.
    """

    model_config = ConfigDict(extra="forbid", strict=True)
    room: str
    measure: str
    component: str = "*"
    group: str = "*"
    need: Literal["pass", "no fail"]
    otherwise: Literal["hold", "rollback"] = "hold"
    why: str


class SignOff(BaseModel):
    """One record of data/raw/signoffs: a role approves or refuses exactly the evidence with this digest."""

    model_config = ConfigDict(extra="ignore")
    role: str
    decision: Literal["approve", "refuse"]
    evidence: str
    name: str = ""
    date: str = ""
    reason: str = ""


def parse_rules(rules: list[dict[str, Any]]) -> list[Rule]:
    """The rules of params.yaml, checked. Raises ParamError that names the rule and the key, and for no rules."""
    if not rules:
        raise ParamError(expected="at least one rule", found="none", where="params.yaml: decide.rules",
                         todo="add a rule: without one, everything would ship")  # fmt: skip
    parsed = []
    for i, rule in enumerate(rules):
        try:
            parsed.append(Rule.model_validate(rule))
        except ValidationError as e:
            first = e.errors()[0]
            raise ParamError(
                expected="room, measure, need (pass or no fail), why", found=f"{first['loc']}: {first['msg']}",
                where=f"params.yaml: decide.rules[{i}]", todo="correct that key",
            ) from None  # fmt: skip
    return parsed


def apply_rules(evidence: pd.DataFrame, rules: list[Rule]) -> pd.DataFrame:
    """Which rules are met, and by how many rows?

    Parameters
    ----------
    evidence : one row a statement, with a column `room` (see tables.read_all).
    rules : as parsed by `parse_rules`.

    Returns
    -------
    One row a rule, in the order of the rules: rule, rows, passed, failed, unknown, met (yes/no), consequence
    ("ship" when met), reason. A rule that selects no row is not met when it needs "pass", and met otherwise.

    >>> rows = ev.table([ev.row("auc", value=0.7, n=9, verdict="fail")]).assign(room="retrain")
    >>> rule = Rule(room="retrain", measure="auc", need="no fail", why="it must rank")
    >>> apply_rules(rows, [rule])[["failed", "consequence"]].values.tolist()
    [[1, 'hold']]
    """
    rows = [_apply(evidence, rule) for rule in rules]
    return pd.DataFrame(rows, columns=["rule", "rows", "passed", "failed", "unknown", "met", "consequence", "reason"])


def _apply(evidence: pd.DataFrame, rule: Rule) -> list[Any]:
    chosen = pd.Series(True, index=evidence.index)
    for column in ("room", "measure", "component", "group"):
        pattern = getattr(rule, column)
        chosen &= evidence[column].map(lambda v, p=pattern: fnmatchcase(str(v), p)).astype(bool)
    rows = evidence[chosen & (evidence["verdict"] != "info")]
    passed, failed, unknown = (int((rows["verdict"] == v).sum()) for v in ("pass", "fail", "cannot tell"))
    met = failed == 0 and (rule.need == "no fail" or (unknown == 0 and passed > 0))
    return [
        rule.why, len(rows), passed, failed, unknown, "yes" if met else "no", "ship" if met else rule.otherwise,
        _reason(rows, rule, failed, unknown),
    ]  # fmt: skip


def _reason(rows: pd.DataFrame, rule: Rule, failed: int, unknown: int) -> str:
    if rows.empty:
        return f"no evidence on {rule.measure} in {rule.room}"
    worst = rows[rows["verdict"] == ("fail" if failed else "cannot tell")]
    if worst.empty:
        return "every row passes"
    first = worst.iloc[0]
    what = "fail" if failed else "cannot be told"
    more = f" and {len(worst) - 1} more" if len(worst) > 1 else ""
    where = ", ".join(str(v) for v in first[["measure", "component", "group"]] if v != "all")
    found = (
        f"{first['value']:.3g} [{first['low']:.3g}, {first['high']:.3g}]" if pd.notna(first["value"]) else "undefined"
    )
    return f"{len(worst)} of {len(rows)} {what}: {where}: {found}{more}"


def evidence_digest(evidence: pd.DataFrame, rules: list[Rule], models: str) -> str:
    """What does a sign-off sign? SHA-256 over every evidence row, the rules and the model files.

    A changed number, rule or model byte gives another digest, so an old sign-off is void. Row order is immaterial.
    """
    lines = sorted("|".join(map(str, row)) for row in evidence.itertuples(index=False))
    text = "\n".join([models, *[rule.model_dump_json() for rule in rules], *lines])
    return hashlib.sha256(text.encode()).hexdigest()


def check_signoffs(records: Iterable[tuple[str, Any]], *, roles: list[str], digest: str) -> pd.DataFrame:
    """Who has signed this evidence? One row a required role: role, status, name, date, note.

    status: approved, refused, outdated (signed other evidence), missing. A refusal beats an approval of the same role;
    a record that is no sign-off is listed with status `unreadable`.
    """
    rows, read = [], []
    for file, record in records:
        try:
            read.append(SignOff.model_validate(record))
        except ValidationError as e:
            rows.append(["?", "unreadable", "", "", f"{file}: {e.errors()[0]['loc']} {e.errors()[0]['msg']}"])
    for role in roles:
        mine = [s for s in read if s.role == role]
        now = [s for s in mine if s.evidence == digest]
        refused = [s for s in now if s.decision == "refuse"]
        if not mine:
            rows.append([role, "missing", "", "", "nobody signed in this role"])
        elif not now:
            last = mine[-1]
            rows.append([role, "outdated", last.name, last.date, "signed other evidence: read it and sign again"])
        else:
            s = (refused or now)[-1]
            rows.append([role, "refused" if refused else "approved", s.name, s.date, s.reason])
    return pd.DataFrame(rows, columns=["role", "status", "name", "date", "note"])


def decide(checked: pd.DataFrame, signoffs: pd.DataFrame) -> tuple[str, list[str]]:
    """The decision (ship, hold, rollback) and its reasons, the gravest first.

    >>> met = pd.DataFrame({"met": ["yes"], "consequence": ["ship"], "rule": ["r"], "reason": ["all pass"]})
    >>> signed = pd.DataFrame({"role": ["legal"], "status": ["missing"]})
    >>> decide(met, signed)
    ('hold', ['sign-off legal: missing'])
    """
    broken = checked[checked["met"] == "no"]
    verdict = max(broken["consequence"], key=ORDER.index, default="ship")
    gravest = sorted(broken.itertuples(), key=lambda r: -ORDER.index(r.consequence))
    reasons = [f"not met: {r.rule} ({r.reason})" for r in gravest]
    open_roles = signoffs[signoffs["status"] != "approved"]
    reasons += [f"sign-off {r.role}: {r.status}" for r in open_roles.itertuples()]
    if len(open_roles) and verdict == "ship":
        verdict = "hold"
    return verdict, reasons or ["every rule is met and every role has signed"]


def promises(evidence: pd.DataFrame, rules: list[Rule]) -> list[dict[str, Any]]:
    """What does this release promise? The bound that the evidence supports, for every row a rule relies on.

    "higher is better" promises the lower bound, "lower is better" the upper one; the next retrospective holds us to it.
    """
    wanted = [_matching(evidence, rule) for rule in rules]
    rows = pd.concat(wanted).drop_duplicates() if wanted else evidence.head(0)
    rows = rows[(rows["verdict"] == "pass") & rows["better"].isin(["higher", "lower"])]
    return [
        {
            "measure": r.measure, "component": r.component, "group": r.group, "better": r.better,
            "promised": float(f"{(r.low if r.better == 'higher' else r.high):.6g}"),
        }
        for r in rows.itertuples()
    ]  # fmt: skip


def _matching(evidence: pd.DataFrame, rule: Rule) -> pd.DataFrame:
    keep = [
        all(fnmatchcase(str(getattr(r, c)), getattr(rule, c)) for c in ("room", "measure", "component", "group"))
        for r in evidence.itertuples()
    ]
    return evidence[keep]


def as_evidence(verdict: str, checked: pd.DataFrame, signoffs: pd.DataFrame) -> pd.DataFrame:
    """The decision as evidence rows: one a rule, one a role."""
    rows = [
        ev.row(
            f"rule: {r.rule}", value=float(r.passed), n=int(r.rows), better="none",
            verdict="pass" if r.met == "yes" else "fail" if r.failed else "cannot tell", note=r.reason,
        )
        for r in checked.itertuples()
    ]  # fmt: skip
    states = {"approved": "pass", "refused": "fail"}
    rows += [
        ev.row(
            f"sign-off: {r.role}", value=float("nan"), n=1, verdict=states.get(r.status, "cannot tell"), note=r.status,
        )
        for r in signoffs.itertuples()
    ]  # fmt: skip
    return ev.table([ev.row("decision", value=float(ORDER.index(verdict)), n=len(checked), note=verdict), *rows])


def record(
    release: str, verdict: str, *, reasons: list[str], digest: str, promised: list[dict[str, Any]], previous: str
) -> Mapping[str, Any]:
    """The record of the release, to be copied to data/raw/releases once it has shipped."""
    back = f"git checkout {previous} -- dvc.lock && dvc checkout" if previous else "no earlier release is recorded"
    return {
        "release": release, "decision": verdict, "reasons": reasons, "evidence": digest, "promises": promised,
        "rollback": {"to": previous, "command": back},
    }  # fmt: skip


def answer(release: str, verdict: str, reasons: list[str], limit: int = 3) -> str:
    """The decision as a sentence with at most `limit` reasons.

    >>> answer("v1", "hold", ["sign-off legal: missing"])
    'HOLD v1. 1 reason: (1) sign-off legal: missing.'
    """
    listed = " ".join(f"({i}) {r}." for i, r in enumerate(reasons[:limit], 1))
    more = f" And {len(reasons) - limit} more." if len(reasons) > limit else ""
    return f"{verdict.upper()} {release}. {len(reasons)} reason{'s' * (len(reasons) != 1)}: {listed}{more}"
