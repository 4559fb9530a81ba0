"""Sign-offs: who has signed exactly this evidence, and which open questions they accept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from hfkit.decide.rules import Rule
from hfkit.shared.errors import ParamError


class SignOff(BaseModel):
    """One record of data/raw/signoffs: a role approves or refuses exactly the evidence with this digest.

    `accepts` names the open questions that the signer accepts.
    """

    model_config = ConfigDict(extra="ignore")
    role: str
    decision: Literal["approve", "refuse"]
    evidence: str
    name: str = ""
    date: str = ""
    reason: str = ""
    accepts: list[str] = []


def evidence_digest(evidence: pd.DataFrame, rules: Sequence[Rule], models: str) -> str:
    """What does a sign-off sign? SHA-256 over every evidence row, the rules and the model files.

    A changed number (as shown: 6 digits), rule or model byte gives another digest, so an old sign-off is void. Row
    order is immaterial.
    """
    lines = sorted(
        "|".join(f"{v:.6g}" if isinstance(v, float) else str(v) for v in row)
        for row in evidence.itertuples(index=False)
    )
    text = "\n".join([models, *[rule.model_dump_json() for rule in rules], *lines])
    return hashlib.sha256(text.encode()).hexdigest()


def check_signoffs(records: Iterable[tuple[str, Any]], *, roles: Sequence[str], digest: str) -> pd.DataFrame:
    """Who has signed this evidence? One row a required role: role, status, name, date, note, accepts.

    status: approved, refused, outdated (signed other evidence), missing. A refusal beats an approval of the same
    role, whatever their order; a record that is no sign-off is listed with status `unreadable`. Raises ParamError for
    no role.
    """
    if not roles:
        raise ParamError(expected="at least one role that signs", found="none", where="params.yaml: decide.roles",
                         todo="name the roles, for example [product, legal, ethics]")  # fmt: skip
    rows, signed = [], []
    for file, record in records:
        try:
            signed.append(SignOff.model_validate(record))
        except ValidationError as e:
            rows.append(["?", "unreadable", "", "", f"{file}: {e.errors()[0]['loc']} {e.errors()[0]['msg']}", []])
    for role in roles:
        mine = [s for s in signed if s.role == role]
        now = [s for s in mine if s.evidence == digest]
        refused = [s for s in now if s.decision == "refuse"]
        if not mine:
            rows.append([role, "missing", "", "", "nobody signed in this role", []])
        elif not now:
            last = mine[-1]
            rows.append([role, "outdated", last.name, last.date, "signed other evidence: read it and sign again", []])
        else:
            s = (refused or now)[-1]
            accepts = [] if refused else sorted({q for a in now for q in a.accepts})
            rows.append([role, "refused" if refused else "approved", s.name, s.date, s.reason, accepts])
    return pd.DataFrame(rows, columns=["role", "status", "name", "date", "note", "accepts"])
