"""The agreed tables: the dozen column names that are the language of hfkit, declared once.

Raw side (a source in `params.yaml: clean.sources` maps an export to one of these): items, feedback, raters,
population, policy. Made by the rooms: the rest. A column with a dot (`cohort.language`, `feature.length`) belongs to an
open family: any name after the dot is allowed.

Two kinds of cohort are kept apart by name. In raw tables both are `cohort.*`, of an item (the person served) or of a
rater (the person who judged); from `aggregate` on they are `served.*` and `rater.*`.
"""

from __future__ import annotations

from hfkit.shared.table_shape import Column, Table, cohorts, restored, shape

__all__ = ["TABLES", "Column", "Table", "cohorts", "restored", "shape"]

NOT_STATED = "not stated"
INCONCLUSIVE = "inconclusive"
VERDICTS = ("pass", "fail", INCONCLUSIVE, "info")
BETTER = ("higher", "lower", "target", "none")

_c = Column
_USES = {"training": "a model learns from it", "evaluation": "it judges a model", "publication": "it counts in public"}
_PURPOSES = tuple(_c(f"for_{k}", "int", f"1 where the rater agreed that {v}", low=0, high=1) for k, v in _USES.items())

ITEMS = Table(
    "items",
    "one thing the model did",
    (
        _c("item_id", "str", "identifies the item", required=True),
        _c("component", "str", "the part of the product that made it", required=True),
        _c("unit_id", "str", "the person or session served, pseudonym; missing = every item stands for itself"),
        _c("served_at", "time", "when it was served, UTC"),
        _c("text", "str", "what the model saw or said, personal data masked"),
        _c("score", "float", "the model's probability of the component's event", low=0, high=1),
        _c("decision", "int", "1 where the model acted as if the event holds", low=0, high=1),
        _c("model_version", "str", "the version that made it"),
        _c("latency_ms", "float", "time to answer", low=0, unit="ms"),
        _c("error", "int", "1 where the call failed", low=0, high=1),
        _c("arm", "str", "arm of a running experiment"),
        _c("action", "str", "the action a logged policy chose"),
        _c("context", "str", "the part of the context a target policy depends on (a position)"),
        _c("propensity", "float", "the logged policy's probability of that action, above 0", low=0, high=1),
        _c("reward", "float", "what the action brought"),
    ),
    families=("cohort.", "feature."),
    key=("item_id",),
)

FEEDBACK = Table(
    "feedback",
    "one answer of one rater to one question",
    (
        _c("feedback_id", "str", "identifies the answer", required=True),
        _c("item_id", "str", "the item it is about", required=True),
        _c("rater_id", "str", "pseudonym of who answered; missing = anonymous"),
        _c("rater_kind", "str", "who answered", required=True, values=("human", "model", "code")),
        _c("channel", "str", "how it arrived", required=True),
        _c("question", "str", "what was asked", required=True),
        _c("value", "str", "the answer as given"),
        _c("value_text", "str", "free text given with it, personal data masked"),
        _c("correction", "str", "what the rater would have wanted, personal data masked"),
        _c("created_at", "time", "when it was given, UTC"),
        _c("consent_scope", "str", "what the rater agreed to"),
        _c("confidence", "float", "the rater's own confidence", low=0, high=1),
        _c("seconds_spent", "float", "time spent on the answer", low=0, unit="s"),
        _c("model_version", "str", "the version the rater saw"),
        _c("component", "str", "added by clean: the component the rubric says the answer is about", required=True),
        _c("label", "float", "added by clean: 1 event, 0 no event, missing = no label", low=0, high=1),
        *_PURPOSES,
    ),
    key=("feedback_id",),
)

RATERS = Table(
    "raters",
    "one person or program who gave feedback",
    (
        _c("rater_id", "str", "pseudonym", required=True),
        _c("consent", "str", "granted or withdrawn", values=("granted", "withdrawn")),
    ),
    families=("cohort.",),
    key=("rater_id",),
)

POPULATION = Table(
    "population",
    "the share of one group among the people served",
    (
        _c("cohort", "str", "name of the cohort attribute, without `cohort.`", required=True),
        _c("group", "str", "one of its values", required=True),
        _c("share", "float", "share of the reference population", required=True, low=0, high=1),
    ),
    key=("cohort", "group"),
)

POLICY = Table(
    "policy",
    "how often a target policy takes one action in one context",
    (
        _c("context", "str", "matches items.context", required=True),
        _c("action", "str", "matches items.action", required=True),
        _c("probability", "float", "the target policy's probability", required=True, low=0, high=1),
    ),
    key=("context", "action"),
)

REJECTS = Table(
    "rejects",
    "one record that was not kept, and why",
    (
        _c("source", "str", "name of the source in params", required=True),
        _c("table", "str", "the table it was meant for", required=True),
        _c("line", "int", "record number in the file, from 1; 0 = the file", required=True, low=0),
        _c("reason", "str", "reason code", required=True),
        _c("column", "str", "the column at fault"),
    ),
)

ACCOUNTS = Table(
    "accounts",
    "the books of one source: read = kept + rejected",
    (
        _c("source", "str", "name of the source", required=True),
        _c("table", "str", "the table it feeds", required=True),
        _c("read", "int", "records in the file", required=True, low=0),
        _c("kept", "int", "records used", required=True, low=0),
        _c("rejected", "int", "records in the rejects", required=True, low=0),
        _c("sha256", "str", "keyed or plain hash of the file", required=False),
    ),
    key=("source",),
)

COMPONENTS = Table(
    "components",
    "one component of the product",
    (
        _c("component", "str", "its name", required=True),
        _c("event", "str", "what the score is the probability of", required=True),
        _c("threshold", "float", "acts where the score is at least this", required=True, low=0, high=1),
        _c("cost_false_alarm", "float", "cost of acting without the event", required=True, low=0, unit="points"),
        _c("cost_miss", "float", "cost of not acting on the event", required=True, low=0, unit="points"),
        _c("effort_days", "float", "person-days to fix one issue in it", required=True, low=0, unit="days"),
    ),
    key=("component",),
)

RATER_TRUST = Table(
    "rater_trust",
    "one rater as audit found them",
    (
        _c("rater_id", "str", "pseudonym", required=True),
        _c("n_answers", "int", "labelled answers", required=True, low=0),
        _c("n_shared", "int", "answers on items that others answered too", required=True, low=0),
        _c("agreement", "float", "share of shared answers equal to the others' majority", low=0, high=1),
        _c("low", "float", "lower bound of agreement", low=0, high=1),
        _c("high", "float", "upper bound of agreement", low=0, high=1),
        _c("flagged", "bool", "True where the answers should not count", required=True),
        _c("reason", "str", "why flagged; empty otherwise", required=True),
    ),
    key=("rater_id",),
)

LABELS = Table(
    "labels",
    "the aggregated label of one item for one component",
    (
        _c("item_id", "str", "the item", required=True),
        _c("component", "str", "the component", required=True),
        _c("p", "float", "estimated probability that the event holds", required=True, low=0, high=1),
        _c("low", "float", "lower bound of p, 95 %", required=True, low=0, high=1),
        _c("high", "float", "upper bound of p, 95 %", required=True, low=0, high=1),
        _c("label", "int", "1 where p is above .5; a tie is 0, and no rate counts it", required=True, low=0, high=1),
        _c("n_answers", "int", "answers behind it", required=True, low=1),
        _c("disagreement", "float", "entropy of the answers, 0 agree, 1 split in half", required=True, low=0, high=1),
    ),
    key=("item_id", "component"),
)

JUDGEMENTS = Table(
    "judgements",
    "one labelled answer, with who judged, who was served and what the model said",
    (
        _c("feedback_id", "str", "the answer", required=True),
        _c("item_id", "str", "the item", required=True),
        _c("component", "str", "the component", required=True),
        _c("unit_id", "str", "the person or session served; missing = every item stands for itself"),
        _c("rater_id", "str", "who judged; missing = anonymous"),
        _c("channel", "str", "how it arrived", required=True),
        _c("created_at", "time", "when it was given, UTC"),
        _c("label", "int", "1 event, 0 no event, by this rater", required=True, low=0, high=1),
        _c("weight", "float", "how much it counts; 0 = a flagged rater or no consent to this", required=True, low=0),
        _c("score", "float", "the logged score; missing = none", low=0, high=1),
        *_PURPOSES,
    ),
    families=("served.", "rater."),
    key=("feedback_id",),
)

ROUTES = Table(
    "routes",
    "which component one piece of feedback is about",
    (
        _c("feedback_id", "str", "the answer", required=True),
        _c("filed", "str", "the component it was filed under", required=True),
        _c("routed", "str", "the component it is about; missing = abstain, a person decides"),
        _c("method", "str", "how that was found", required=True, values=("filed", "rule", "model", "abstain")),
        _c("confidence", "float", "probability of the routed component", low=0, high=1),
    ),
    key=("feedback_id",),
)

ISSUES = Table(
    "issues",
    "one cluster of negative feedback, ranked",
    (
        _c("issue_id", "str", "identifies the issue", required=True),
        _c("rank", "int", "1 = fix first", required=True, low=1),
        _c("component", "str", "where to fix it", required=True),
        _c("title", "str", "its most telling words, each used by enough people", required=True),
        _c("n_feedback", "int", "pieces of feedback", required=True, low=0),
        _c("n_items", "int", "items behind it", required=True, low=0),
        _c("n_raters", "int", "people behind it", required=True, low=0),
        _c("benefit", "float", "expected cost saved per 1,000 served items; missing = inconclusive", unit="points"),
        _c("low", "float", "lower bound of benefit", unit="points"),
        _c("high", "float", "upper bound of benefit", unit="points"),
        _c("effort_days", "float", "person-days to fix", required=True, low=0, unit="days"),
        _c("risk", "float", "probability that training on it makes the model worse", low=0, high=1),
        _c("value_per_day", "float", "benefit, less risk, per day of effort; missing = inconclusive"),
        _c("verdict", "str", "what to do", required=True, values=("train", "fix", "exclude", "inconclusive")),
        _c("note", "str", "why", required=True),
    ),
    key=("issue_id",),
)

ROWS = Table(
    "rows",
    "what to do with one labelled item",
    (
        _c("item_id", "str", "the item", required=True),
        _c("component", "str", "the component", required=True),
        _c("issue_id", "str", "the issue it belongs to; missing = none"),
        _c("use", "str", "train on it now, or leave it out", required=True, values=("exploit", "exclude")),
        _c("priority", "float", "higher first, within its use", required=True),
        _c("weight", "float", "training weight", required=True, low=0),
    ),
    key=("item_id", "component"),
)

PREDICTIONS = Table(
    "predictions",
    "what baseline and candidate say about one labelled item",
    (
        _c("item_id", "str", "the item", required=True),
        _c("component", "str", "the component", required=True),
        _c("split", "str", "the candidate never saw test rows, and calibrate rows only in its last step",
           required=True, values=("train", "calibrate", "test")),
        _c("baseline", "float", "the score in use; where a component has none, its base rate", low=0, high=1),
        _c("recalibrated", "float", "the baseline, recalibrated on the calibrate rows", low=0, high=1),
        _c("candidate", "float", "the retrained model's score", required=True, low=0, high=1),
    ),
    key=("item_id", "component"),
)  # fmt: skip

EVIDENCE = Table(
    "evidence",
    "one measured statement",
    (
        _c("measure", "str", "what was measured", required=True),
        _c("component", "str", "the component, or `all`", required=True),
        _c("group", "str", "`all`, or a group as cohorts.Group writes it, `served.language=es`", required=True),
        _c("value", "float", "point estimate; missing = undefined"),
        _c("low", "float", "lower bound"),
        _c("high", "float", "upper bound"),
        _c("n", "int", "rows behind it", required=True, low=0),
        _c("better", "str", "which direction is better", required=True, values=BETTER),
        _c("verdict", "str", "pass, fail, inconclusive; info = no target was declared", required=True, values=VERDICTS),
        _c("note", "str", "why, and what would settle it", required=True),
    ),
)

LEADS = Table(
    "leads",
    "one statement that gates nothing, under a declared false discovery rate",
    (
        *EVIDENCE.columns,
        _c("q", "float", "how unsure its verdict is: expected share of wrong ones down to it", low=0, high=1),
    ),
)

TABLES: dict[str, Table] = {
    t.name: t
    for t in (ITEMS, FEEDBACK, RATERS, POPULATION, POLICY, REJECTS, ACCOUNTS, COMPONENTS, RATER_TRUST, LABELS,
              JUDGEMENTS, ROUTES, ISSUES, ROWS, PREDICTIONS, EVIDENCE, LEADS)
}  # fmt: skip

RAW = ("items", "feedback", "raters", "population", "policy")
