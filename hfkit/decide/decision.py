"""The decision and the record of the release."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from hfkit.decide.rules import MET, NOT_MET, NOT_SHOWN, Rule, selected
from hfkit.shared import evidence as ev
from hfkit.shared import schema

ORDER = ("ship", "hold", "rollback")
STATES = {MET: "pass", NOT_MET: "fail", NOT_SHOWN: schema.INCONCLUSIVE}


class Decision(NamedTuple):
    """The verdict (ship, hold, rollback), its reasons with the gravest first, what would change it, what is open."""

    verdict: str
    reasons: list[str]
    changes: list[str]
    questions: list[str]


def conclude(checked: pd.DataFrame, signoffs: pd.DataFrame) -> Decision:
    """The decision, its reasons, what would change it and what is open.

    >>> rule = {"rule": "it is cheaper", "state": "met", "consequence": "ship", "reason": "", "change": ""}
    >>> signed = pd.DataFrame({"role": ["legal"], "status": ["missing"], "accepts": [[]], "note": [""]})
    >>> conclude(pd.DataFrame([rule]), signed)[:2]
    ('hold', ['Nobody has signed for legal.'])
    """
    approved = signoffs[signoffs["status"] == "approved"]
    accepted = {question for names in approved["accepts"] for question in names}
    asked = checked["consequence"] == "ask"
    open_ = checked[asked & ~checked["rule"].isin(accepted)]
    against = checked[~asked & (checked["consequence"] != "ship")]
    grave = sorted(against.itertuples(), key=lambda r: (-ORDER.index(r.consequence), r.state != NOT_MET))
    unsigned = signoffs[signoffs["status"] != "approved"]
    holds = ["hold"] * bool(len(open_) or len(unsigned))
    verdict = max([*against["consequence"], *holds], key=ORDER.index, default="ship")
    reasons = [f"{_upper(r.rule)}: {r.state}. {_upper(r.reason)}" for r in grave]
    reasons += [
        f"{_upper(r.rule)}: not shown, and nobody has accepted that. {_upper(r.reason)}" for r in open_.itertuples()
    ]
    reasons += [_unsigned(r) for r in unsigned.itertuples()]
    changes = [f"{_upper(r.rule)}: {r.change}" for r in (*grave, *open_.itertuples())]
    return Decision(
        verdict, reasons or ["Every rule is met and every role has signed."], changes, open_["rule"].tolist()
    )


def _unsigned(r: Any) -> str:
    return {
        "missing": f"Nobody has signed for {r.role}.", "refused": f"{_upper(r.role)} refuses.",
        "outdated": f"{_upper(r.role)} signed other evidence than this.",
    }.get(r.status, f"A file in data/raw/signoffs is no sign-off ({r.note}).")  # fmt: skip


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def promises(evidence: pd.DataFrame, rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """What does this release promise? The bound that the evidence supports, for every passing row that a rule selects.

    Rows without a better direction or a finite bound promise nothing. "higher is better" promises the lower bound,
    "lower is better" the upper one; the next retrospective holds us to it.
    """
    chosen = [selected(evidence, rule) for rule in rules]
    rows = pd.concat(chosen).drop_duplicates() if chosen else evidence.head(0)
    rows = rows[(rows["verdict"] == "pass") & rows["better"].isin(["higher", "lower"])]
    bounds = rows["low"].where(rows["better"] == "higher", rows["high"])
    return [
        {
            "measure": r.measure, "component": r.component, "group": r.group, "better": r.better,
            "promised": float(f"{bound:.6g}"),
        }
        for r, bound in zip(rows.itertuples(), bounds, strict=True) if math.isfinite(bound)
    ]  # fmt: skip


def as_evidence(verdict: str, checked: pd.DataFrame, signoffs: pd.DataFrame) -> pd.DataFrame:
    """The decision as evidence rows: one a rule (what is not shown is inconclusive, never a pass), one a role."""
    rows = [
        ev.row("rule", group=f"rule={r.rule}", value=float(r[4]), n=int(r.rows), verdict=STATES[r.state], note=r.reason)
        for r in checked.itertuples()
    ]  # fmt: skip
    states = {"approved": "pass", "refused": "fail"}
    rows += [
        ev.row("sign-off", group=f"role={r.role}", value=math.nan, n=1, note=r.status,
               verdict=states.get(r.status, schema.INCONCLUSIVE))
        for r in signoffs.itertuples()
    ]  # fmt: skip
    return ev.table([ev.row("decision", value=float(ORDER.index(verdict)), n=len(checked), note=verdict), *rows])


def record(
    release: str, decision: Decision, *, digest: str, promised: list[dict[str, Any]], previous: str
) -> Mapping[str, Any]:
    """The record of the release, to be copied to data/raw/releases once it has shipped."""
    back = f"git checkout {previous} -- dvc.lock && dvc checkout" if previous else "no earlier release is recorded"
    return {
        "release": release, "decision": decision.verdict, "reasons": decision.reasons, "changes": decision.changes,
        "questions": decision.questions, "evidence": digest, "promises": promised,
        "rollback": {"to": previous, "command": back},
    }  # fmt: skip


def answer(release: str, decision: Decision, limit: int = 3) -> str:
    """The decision in sentences: at most `limit` reasons, what would change it, and what a signer must accept.

    >>> answer("v1", Decision("hold", ["Nobody has signed for legal."], [], []))
    'HOLD v1. 1 reason: (1) Nobody has signed for legal.'
    """
    reasons, changes = decision.reasons, decision.changes
    listed = " ".join(f"({i}) {r}" for i, r in enumerate(reasons[:limit], 1))
    more = f" And {len(reasons) - limit} more." if len(reasons) > limit else ""
    text = f"{decision.verdict.upper()} {release}. {len(reasons)} reason{'s' * (len(reasons) != 1)}: {listed}{more}"
    if changes:
        text += f" What would change it: {'; '.join(changes[:limit])}."
    if decision.questions:
        text += f" Open, for a signer to accept by name: {'; '.join(decision.questions)}."
    return text
