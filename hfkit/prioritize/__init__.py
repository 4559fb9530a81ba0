"""Prioritize: what should we fix first, what is it worth, and whom do we ask next?

Answers that say the model was wrong are grouped into issues. Each issue gets a benefit (what its errors cost), an
effort and a risk (does training on its labels harm?). Every labelled item trains unless its issue is excluded; what
people have time for is asked about next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hfkit.prioritize import budget
from hfkit.prioritize import cluster as _cluster
from hfkit.prioritize import issues as _issues
from hfkit.prioritize.harm import training_value
from hfkit.prioritize.result import answer, curve, evidence, gained, metrics
from hfkit.shared.learn import teaching

__all__ = ["Inputs", "answer", "curve", "evidence", "find_issues", "gained", "metrics", "spend"]


@dataclass(frozen=True)
class Inputs:
    """The tables other rooms wrote, in their agreed shapes (see schema); the order of their rows does not matter."""

    items: pd.DataFrame
    feedback: pd.DataFrame
    components: pd.DataFrame
    population: pd.DataFrame
    rater_trust: pd.DataFrame
    labels: pd.DataFrame
    judgements: pd.DataFrame
    routes: pd.DataFrame

    def __post_init__(self) -> None:
        keys = {"items": "item_id", "feedback": "feedback_id", "judgements": "feedback_id", "routes": "feedback_id",
                "rater_trust": "rater_id", "components": "component"}  # fmt: skip
        for name, key in keys.items():
            object.__setattr__(self, name, getattr(self, name).sort_values(key, ignore_index=True))
        for name, pair in {"labels": ["component", "item_id"], "population": ["cohort", "group"]}.items():
            object.__setattr__(self, name, getattr(self, name).sort_values(pair, ignore_index=True))


def find_issues(
    given: Inputs, *, rng: np.random.Generator, max_issues: int = 8, min_people: int = 5, fdr: float = 0.05,
    effort_days: dict[str, Any] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """What goes wrong, what is it worth to fix, and which of it must we not learn from?

    Returns `issues` (schema.ISSUES, rank 1 first), `member` (item_id, component, issue_id of each labelled item that
    belongs to an issue) and `harm` (see `harm.training_value`). At most `max_issues` a component; words used by fewer
    than `min_people` people appear nowhere; `fdr` is the share of false ones among excluded issues; `effort_days` maps
    a component to the days one of its issues takes. No complaint: empty tables.
    """
    days = _issues.efforts(given.components, effort_days or {})
    complaints = _cluster.complaints(given.feedback, given.items, given.routes, given.rater_trust)
    clustered, titles = _cluster.assign(complaints, max_issues=max_issues, min_people=min_people, rng=rng)
    member = _issues.membership(clustered)
    own = member[member["component"] == member["issue_id"].map(titles.set_index("issue_id")["component"])]
    wrong = own[own["issue_id"].isin(clustered.loc[clustered["wrong"], "issue_id"])]
    learned = given.judgements[teaching(given.judgements)]  # it trains small models
    harm = training_value(given.labels, learned, given.items, wrong, given.rater_trust, rng=rng)
    cost = _issues.expected_cost(given.labels, given.items, given.components)
    worth = _issues.benefits(given.labels, cost, member, given.items, rng=rng)
    return _issues.rank(clustered, titles, worth, harm, days, fdr=fdr), member, harm


def spend(
    given: Inputs, issues: pd.DataFrame, member: pd.DataFrame, *, ask_items: int = 300
) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Which items do we train on now, and about which do we ask people next?

    `ask_items` is what people have time for: the length of the queue. Returns `rows` (schema.ROWS, one a labelled
    item), `queue` (see `budget.queue`) and how many items worth asking about are beyond it.
    """
    excluded = set(issues.loc[issues["verdict"] == "exclude", "issue_id"])
    served = given.judgements.drop_duplicates(["item_id", "component"])
    missing = budget.gaps(served, given.population, "served.")
    listed = budget.candidates(given.items, given.labels, given.components, member, excluded, missing)
    raters = [budget.gaps(part.drop_duplicates("rater_id"), given.population, "rater.").assign(component=c)
              for c, part in given.judgements.groupby("component")]  # fmt: skip
    columns = ["component", "cohort", "group", "gap"]
    rater_gaps = pd.concat(raters)[columns] if raters else pd.DataFrame(columns=columns)
    cost = _issues.expected_cost(given.labels, given.items, given.components)
    rows = budget.split(given.labels, cost, member, excluded)
    asked = budget.queue(listed, rater_gaps, size=ask_items)
    return rows, asked, int((listed["priority"] > 0).sum()) - len(asked)
