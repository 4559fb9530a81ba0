"""The whole sample world: agreed tables as `clean` would make them, and the truth that was planted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hfkit.commands.sample import answers as a
from hfkit.commands.sample import items as it
from hfkit.commands.sample import vocabulary as v
from hfkit.shared import schema

SEED = 20260105
TWINS, CONFLICTS = 40, 20
BROKEN = {
    "thumbs": {"not_json": 3, "not_a_time": 12}, "survey": {"field_count": 2, "out_of_range": 4, "unknown_item": 10},
    "annotation": {"skipped": 30}, "chat": {"future": 8}, "tool_log": {},
}  # fmt: skip
"""Records that clean must reject: source, reason code, how many. They follow the good ones in their export."""


@dataclass(frozen=True)
class Built:
    """Everything as it happened: `_` columns are latent; `twins` and `conflicts` are rows of answers sent twice."""

    items: pd.DataFrame
    raters: pd.DataFrame
    answers: pd.DataFrame
    twins: pd.Index
    conflicts: pd.Index


def build(items: int, seed: int) -> Built:
    """The world with `items` items, a third of them a component; ten answers to three items, one rater to fifteen."""
    rng = np.random.default_rng(seed)
    served = it.make(items, rng)
    raters = a.people(max(150, items // 15), rng)
    given = a.make(served, raters, items * 10 // 3, rng)
    plain = (given["channel"] == "thumbs") & (given["_kind"] == a.HONEST) & given["_secret"].isna()
    thumbs = np.flatnonzero(plain & agreed(raters, given))
    many, few = TWINS * items // 6000, CONFLICTS * items // 6000
    again = rng.choice(thumbs, many + few, replace=False)
    return Built(served, raters, given, pd.Index(np.sort(again[:many])), pd.Index(np.sort(again[many:])))


def agreed(raters: pd.DataFrame, given: pd.DataFrame) -> pd.Series:
    """Which answers may be used: neither the rater nor the answer's own scope refuses."""
    return given["consent_scope"].ne("none") & raters["_role"].ne("withdrawn").to_numpy()[given["_rater"]]


def world(items: int = 6000, seed: int = SEED) -> dict[str, Any]:
    """The agreed tables (items, feedback, raters, population, policy, components) as clean makes them, and `truth`.

    Personal data in comments is masked, withdrawn consent, refused scopes and conflicting answers are out.
    """
    b = build(items, seed)
    out = b.raters["_role"].eq("withdrawn").to_numpy()
    fed = b.answers
    keep = agreed(b.raters, fed) & ~fed.index.isin(b.conflicts)
    masked = [
        text if secret is None else f"{text}{v.SECRETS[secret[0]].format(f'[{secret[0]}]')}"
        for text, secret in zip(fed["value_text"], fed["_secret"], strict=True)
    ]
    used = dict.fromkeys(("for_training", "for_evaluation", "for_publication"), 1)
    return {
        "items": schema.shape(_open(b.items), schema.ITEMS),
        "feedback": schema.shape(_open(fed.assign(value_text=masked, **used))[keep], schema.FEEDBACK),
        "raters": schema.shape(_open(b.raters)[~out], schema.RATERS),
        "population": schema.shape(population(), schema.POPULATION),
        "policy": schema.shape(policy(), schema.POLICY),
        "components": schema.shape(components(), schema.COMPONENTS),
        "truth": truth(b, seed),
    }


def _open(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[[c for c in frame.columns if not c.startswith("_")]]


def population() -> pd.DataFrame:
    """The people served, by the raters' cohorts."""
    rows = [("region", g, s) for g, s in v.REGIONS.items()] + [("age_band", g, s) for g, s in v.AGES.items()]
    return pd.DataFrame(rows, columns=["cohort", "group", "share"])


def policy() -> pd.DataFrame:
    """The target policy that the log is to judge."""
    rows = [(c, x, p) for c in v.TARGET for x, p in zip(v.ACTIONS, v.TARGET[c], strict=True)]
    return pd.DataFrame(rows, columns=["context", "action", "probability"])


def components() -> pd.DataFrame:
    """The three components with the costs of their mistakes."""
    names = ["name", "event", "threshold", "cost_false_alarm", "cost_miss", "effort_days"]
    return pd.DataFrame([[getattr(p, n) for n in names] for p in v.PARTS], columns=["component", *names[1:]])


def truth(b: Built, seed: int) -> dict[str, Any]:
    """What was planted, where, and how strong. Tests read it; no room does."""
    fed, items, role = b.answers, b.items, b.raters["_role"]
    ids = {r: b.raters.loc[role == r, "rater_id"].tolist() for r in a.ROLES}
    constant = b.raters["_constant"]
    item_ids, fed_ids = items["item_id"], fed["feedback_id"]
    topic = (items["_component"] == 2) & (items["_topic"] == a.CLIQUE_TOPIC)
    clique = np.unique(fed.loc[fed["_kind"] == a.CLIQUE, "_item"])
    brigade = np.unique(fed.loc[fed["_kind"] == a.BRIGADE, "_item"])
    out = role.eq("withdrawn").to_numpy()[fed["_rater"]]
    misrouted = fed[fed["_kind"] == a.MISROUTED]
    days = [it.START + pd.Timedelta(days=7 * a.BRIGADE_WEEK + d) for d in (0, a.BRIGADE_DAYS)]
    return {
        "made_with": {"items": len(items), "seed": seed, "answers": len(fed), "raters": len(b.raters)},
        "spam": {"random": b.raters.loc[(role == "spam") & ~constant, "rater_id"].tolist(),
                 "constant": b.raters.loc[(role == "spam") & constant, "rater_id"].tolist(), "max_seconds": 2.0},
        "brigade": {"raters": ids["brigade"], "from": f"{days[0]:%Y-%m-%d}", "before": f"{days[1]:%Y-%m-%d}",
                    "component": "policy", "topic": v.POLICY.topics[a.BRIGADE_TOPIC].name,
                    "n_answers": int((fed["_kind"] == a.BRIGADE).sum()), "items": item_ids[brigade].tolist()},
        "harmed_cohort": {"group": f"served.language={it.HARMED_LANGUAGE}", "shrink": it.SHRINK, "shift": it.SHIFT},
        "overconfidence": it.OVERCONFIDENCE,
        "quiet_cohort": {"group": f"rater.age_band={a.QUIET_AGE}", "factor": a.QUIET_FACTOR,
                         "share_of_population": v.AGES[a.QUIET_AGE], "share_of_raters": v.AGES_OF_RATERS[a.QUIET_AGE]},
        "personal_data": {i: list(s) for i, s in zip(fed_ids, fed["_secret"], strict=True) if s is not None},
        "duplicates": fed_ids[b.twins].tolist(),
        "conflicts": fed_ids[b.conflicts].tolist(),
        "withdrawn": {"raters": ids["withdrawn"], "feedback": fed_ids[out].tolist(),
                      "refused_scope": fed_ids[fed["consent_scope"] == "none"].tolist()},
        "broken": BROKEN,
        "misrouted": dict(zip(misrouted["feedback_id"], [v.PARTS[c].name for c in misrouted["_about"]], strict=True)),
        "drift": {"week": it.DRIFT_WEEK, "date": f"{it.START + pd.Timedelta(weeks=it.DRIFT_WEEK):%Y-%m-%d}",
                  "feature": "feature.length", "shift": it.LENGTH_SHIFT, "latency_factor": it.LATENCY_FACTOR},
        "harmful_cluster": {"component": "safety", "topic": v.SAFETY.topics[a.CLIQUE_TOPIC].name,
                            "raters": ids["clique"], "denies": a.CLIQUE_DENIES, "items": item_ids[clique].tolist(),
                            "items_of_topic": int(topic.sum()),
                            "words": list(v.SAFETY.topics[a.CLIQUE_TOPIC].nouns)},
        **_trials(),
        "topics": {p.name: {t.name: [*t.nouns, *t.places] for t in p.topics} for p in v.PARTS},
        "event_items": item_ids[items["_event"] == 1].tolist(),
    }  # fmt: skip


def _trials() -> dict[str, Any]:
    value = {"logging": it.policy_value(v.LOGGING), "target": it.policy_value(v.TARGET)}
    return {
        "experiment": {"component": "ranking", "control": "control", "treatment": "treatment",
                       "control_mean": it.AB_CONTROL, "effect": it.AB_EFFECT},
        "logged_policy": {"component": "policy", **value, "gain": round(value["target"] - value["logging"], 6)},
    }  # fmt: skip
