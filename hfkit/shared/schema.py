"""The agreed tables: the dozen column names that are the language of hfkit, declared once.

Raw side (a source in `params.yaml: clean.sources` maps an export to one of these): items, feedback, raters,
population, policy. Made by the rooms: the rest. A column with a dot (`cohort.language`, `feature.length`) belongs to an
open family: any name after the dot is allowed.

Two kinds of cohort are kept apart by name. In raw tables both are `cohort.*`, of an item (the person served) or of a
rater (the person who judged); from `aggregate` on they are `served.*` and `rater.*`.
"""

from __future__ import annotations

from hfkit.shared.raw_tables import (
    COMPARISONS,
    FEEDBACK,
    ITEMS,
    NOT_STATED,
    POLICY,
    POPULATION,
    PURPOSES,
    RATERS,
)  # fmt: skip
from hfkit.shared.table_shape import Column, Table, cohorts, restored, shape

__all__ = [
    "COMPARISONS", "FEEDBACK", "ITEMS", "NOT_STATED", "POLICY", "POPULATION", "RATERS", "TABLES", "Column", "Table",
    "cohorts", "restored", "shape",
]  # fmt: skip

INCONCLUSIVE = "inconclusive"
VERDICTS = ("pass", "fail", INCONCLUSIVE, "info")
BETTER = ("higher", "lower", "target", "none")

_c = Column

QUESTIONS = Table(
    "questions",
    "one question, and what kind of answers it has",
    (
        _c("question", "str", "what was asked", required=True),
        _c("level", "str", "what its answers are: two, names, ranks or numbers", required=True,
           values=("binary", "nominal", "ordinal", "interval")),
        _c("declared", "bool", "False where the level is proposed from the answers", required=True),
        _c("answers", "int", "answers with a value", required=True, low=0),
        _c("values", "int", "different values", required=True, low=0),
        _c("labelled", "int", "answers that give a label", required=True, low=0),
    ),
    key=("question",),
)  # fmt: skip

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
        _c("share", "float", "share of people who say so, one vote each", required=True, low=0, high=1),
        _c("p", "float", "probability that the event holds, raters' errors taken out", required=True, low=0, high=1),
        _c("low", "float", "lower bound of p, 95 %", required=True, low=0, high=1),
        _c("high", "float", "upper bound of p, 95 %", required=True, low=0, high=1),
        _c("label", "int", "1 where the crowd says so; a tie is 0, in no rate", required=True, low=0, high=1),
        _c("tied", "bool", "True where the answers are split in half and no rater is better", required=True),
        _c("n_answers", "int", "answers behind it", required=True, low=1),
        _c("n_people", "int", "people behind it", required=True, low=1),
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
        _c("rater_kind", "str", "whether a person, a model or a program judged", values=("human", "model", "code")),
        _c("channel", "str", "how it arrived", required=True),
        _c("created_at", "time", "when it was given, UTC"),
        _c("label", "int", "1 event, 0 no event, by this rater", required=True, low=0, high=1),
        _c(
            "weight",
            "float",
            "how much it counts, 1 a person and item; 0 = a flagged rater, a judge that is no person, or no consent",
            required=True,
            low=0,
        ),
        _c("score", "float", "the logged score; missing = none", low=0, high=1),
        *PURPOSES,
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
    for t in (ITEMS, FEEDBACK, COMPARISONS, QUESTIONS, RATERS, POPULATION, POLICY, REJECTS, ACCOUNTS, COMPONENTS,
              RATER_TRUST, LABELS, JUDGEMENTS, ROUTES, ISSUES, ROWS, PREDICTIONS, EVIDENCE, LEADS)
}  # fmt: skip

RAW = ("items", "feedback", "comparisons", "raters", "population", "policy")
TEXTS = ("text", "prompt", "response", "value_text", "correction")  # people's words at length
ANSWERS = ("feedback", "comparisons")  # what raters said: consent and withdrawals reach every row of these
MADE = ("label", "text_group", "for_training", "for_evaluation", "for_publication", "source", "line",
        "file_sha256")  # columns that clean adds; no source maps them  # fmt: skip
