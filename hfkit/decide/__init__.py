"""May we ship it, and who says so? Rules over the evidence, sign-offs bound to it, and the record of the release.

A rule selects evidence and says what it needs; it is met, not met, or not shown. Absence of evidence never counts as
evidence: a rule that selects nothing, or only inconclusive statements, is not shown. The decision is the worst
consequence: `rollback` before `hold` before `ship`; a missing or a refused sign-off holds. A failed gate is the verdict
"hold", with its reasons, and no crash.
"""

from hfkit.decide.decision import ORDER, Decision, answer, as_evidence, conclude, promises, record
from hfkit.decide.rules import Rule, apply_rules, check_names, parse_rules
from hfkit.decide.signoffs import SignOff, check_signoffs, evidence_digest

__all__ = [
    "ORDER", "Decision", "Rule", "SignOff", "answer", "apply_rules", "as_evidence", "check_names", "check_signoffs",
    "conclude", "evidence_digest", "parse_rules", "promises", "record",
]  # fmt: skip
