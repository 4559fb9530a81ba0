"""The raw side of the agreed tables (see schema.py): what a source in params maps an export to."""

from __future__ import annotations

from hfkit.shared.table_shape import Column, Table

NOT_STATED = "not stated"

_c = Column
_USES = {"training": "a model learns from it", "evaluation": "it judges a model", "publication": "it counts in public"}
ORIGIN = (
    _c("source", "str", "added by clean: the source in params that it came from; of several the first"),
    _c("line", "int", "added by clean: the record in that source's file, from 1", low=0),
    _c("file_sha256", "str", "added by clean: first 16 digits of the hash of that file"),
)
PURPOSES = tuple(_c(f"for_{k}", "int", f"1 where the rater agreed that {v}", low=0, high=1) for k, v in _USES.items())

ITEMS = Table(
    "items",
    "one thing the model did",
    (
        _c("item_id", "str", "identifies the item", required=True),
        _c("component", "str", "the part of the product that made it", required=True),
        _c("unit_id", "str", "the person or session served, pseudonym; missing = every item stands for itself"),
        _c("served_at", "time", "when it was served, UTC"),
        _c("text", "str", "what the model saw or said, personal data masked"),
        _c("prompt", "str", "what the model was asked, personal data masked"),
        _c("response", "str", "what the model answered, personal data masked"),
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
        _c("text_group", "str", "added by clean: items of one group say the same, or nearly"),
        *ORIGIN,
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
        _c("shown", "float", "the prediction the rater saw, 1 event; missing = none was shown", low=0, high=1),
        _c("component", "str", "added by clean: the component the rubric says the answer is about", required=True),
        _c("label", "float", "added by clean: 1 event, 0 no event, missing = no label", low=0, high=1),
        *PURPOSES,
        *ORIGIN,
    ),
    key=("feedback_id",),
)

COMPARISONS = Table(
    "comparisons",
    "one comparison of two items by one rater",
    (
        _c("comparison_id", "str", "identifies the comparison", required=True),
        _c("item_a", "str", "one item", required=True),
        _c("item_b", "str", "the other item", required=True),
        _c("winner", "str", "which is better", required=True, values=("a", "b", "tie")),
        _c("rater_id", "str", "pseudonym of who compared; missing = anonymous"),
        _c("rater_kind", "str", "who compared", required=True, values=("human", "model", "code")),
        _c("channel", "str", "how it arrived", required=True),
        _c("question", "str", "what was asked", required=True),
        _c("position", "str", "which of the two stood first; missing = not recorded", values=("a", "b")),
        _c("value_text", "str", "free text given with it, personal data masked"),
        _c("created_at", "time", "when it was made, UTC"),
        _c("consent_scope", "str", "what the rater agreed to"),
        *PURPOSES,
        *ORIGIN,
    ),
    key=("comparison_id",),
)

RATERS = Table(
    "raters",
    "one person or program who gave feedback",
    (
        _c("rater_id", "str", "pseudonym", required=True),
        _c("consent", "str", "granted or withdrawn", values=("granted", "withdrawn")),
        *ORIGIN,
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
        *ORIGIN,
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
        *ORIGIN,
    ),
    key=("context", "action"),
)
