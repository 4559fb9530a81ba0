"""Who is compared with whom: the rows on which candidate and baseline are held against a label, and their groups.

Two perspectives are kept apart by name. `served`: one row is one item, its label is the aggregated one, the groups are
of the person served; rows go together by that person. `rater`: one row is one answer, its label is that rater's, the
groups are of the person who judged; rows go together by rater and by the person served.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from hfkit.shared import cohorts, schema
from hfkit.shared.cohorts import Codes, Cohort
from hfkit.shared.costs import Costs
from hfkit.shared.measures import MODELS

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
PEOPLE = {"served": "people", "rater": "raters"}


@dataclass(frozen=True)
class Perspective:
    """The rows of one perspective, as arrays over the rows, and the cohorts by which they are grouped.

    `component` is a code into `components`, `event` the label (0 or 1), `score` (row x model, NaN = none) the
    probability behind each decision, `acted` (row x model) the decision: 1 acts, 0 does not, -1 has no score. `people`
    are codes of who is counted (who was served, or who judged), `clusters` codes of rows that go together, none where
    all stand alone. `items` is the item_id of each row; `public` whether
    somebody who judged it agreed to publication.
    """

    name: str
    components: tuple[str, ...]
    costs: tuple[Costs, ...]
    component: Codes
    event: Codes
    score: Floats
    acted: Codes
    people: Codes
    clusters: tuple[Codes, ...]
    cohorts: tuple[Cohort, ...]
    items: npt.NDArray[np.object_]
    public: Bools | None = None

    @property
    def unit(self) -> str:
        """What those are called in a note who must be enough for a group to be numbered."""
        return PEOPLE[self.name]


@dataclass(frozen=True)
class Part:
    """The rows of one component of a perspective, and one cohort of theirs."""

    view: Perspective
    at: int
    cohort: Cohort

    @property
    def rows(self) -> Codes:
        """Which rows of the perspective these are."""
        return np.flatnonzero(self.view.component == self.at)

    @property
    def component(self) -> str:
        """The component's name."""
        return self.view.components[self.at]

    def people(self) -> Codes:
        """How many people stand in each group?"""
        rows, count = self.rows, len(self.cohort.groups)
        pairs = np.unique(np.column_stack([self.cohort.code[rows], self.view.people[rows]]), axis=0)
        return np.bincount(pairs[:, 0], minlength=count).astype(np.int64)


def parts(views: Sequence[Perspective], *, main: bool | None = None) -> Iterator[Part]:
    """Every component and cohort with a row; `main` True: single attributes only, False: crossed ones only."""
    for view in views:
        for at in range(len(view.components)):
            for cohort in view.cohorts:
                if (main is None or cohort.main == main) and (view.component == at).any():
                    yield Part(view, at, cohort)


def perspectives(
    components: pd.DataFrame, judgements: pd.DataFrame, labels: pd.DataFrame, predictions: pd.DataFrame, *,
    population: pd.DataFrame | None = None, crossings: Sequence[Sequence[str]] = (),
) -> tuple[list[Perspective], pd.DataFrame]:  # fmt: skip
    """Which rows may fairness be assessed on? The test rows of retrain with a label, as `served` and as `rater`.

    Answers of weight 0 (flagged raters) are left out of the rater's perspective, items whose label is a tie out of the
    served one. A decision is score >= threshold. Groups that `population` declares stand there without rows too; a
    cohort that only the population knows stands with the people served. Also gives the ties left out: component, ties.
    """
    test = predictions[predictions["split"] == "test"].merge(
        components[["component", "threshold"]], on="component", validate="many_to_one"
    )
    served = schema.cohorts(judgements, "served.")
    items = judgements.sort_values("feedback_id").drop_duplicates("item_id")[["item_id", "unit_id", *served]]
    by_item = test.merge(labels[["item_id", "component", "tied", "label"]], on=["item_id", "component"])
    tied = by_item["tied"].astype(bool)
    ties = by_item[tied].groupby("component").size().rename("ties").reset_index()
    agreed = judgements["for_publication"].eq(1) if "for_publication" in judgements else judgements["weight"].ge(0)
    judgements = judgements.assign(public=agreed)
    public = judgements[judgements["weight"] > 0].groupby(["item_id", "component"])["public"].any().reset_index()
    by_item = by_item.merge(public, on=["item_id", "component"], how="left")
    by_item = by_item[~tied.to_numpy()].merge(items, on="item_id", how="left").sort_values(["component", "item_id"])
    by_item = by_item.assign(person=person_served(by_item), **_absent(judgements, population))
    answers = judgements.loc[judgements["weight"] > 0].drop(columns=["score"])
    by_answer = answers.merge(test, on=["item_id", "component"]).sort_values("feedback_id")
    by_answer["person"] = by_answer["rater_id"].fillna("answer " + by_answer["feedback_id"].astype("str"))
    ordered = components.sort_values("component")
    views = [
        _perspective(name, frame, ordered, population, crossings)
        for name, frame in (("served", by_item), ("rater", by_answer))
    ]
    return views, ties


def person_served(frame: pd.DataFrame) -> pd.Series:
    """Who was served in each row: unit_id, and where that is missing the item, which stands for itself.

    >>> person_served(pd.DataFrame({"item_id": ["i1", "i2"], "unit_id": ["ann", None]})).tolist()
    ['ann', 'item i2']
    """
    alone = "item " + frame["item_id"].astype(str)
    return frame["unit_id"].astype("object").where(frame["unit_id"].notna(), alone).astype(str)


def _absent(judgements: pd.DataFrame, population: pd.DataFrame | None) -> dict[str, None]:
    """Cohorts that only the population declares: nobody states them."""
    if population is None:
        return {}
    seen = {c.partition(".")[2] for f in ("served.", "rater.") for c in schema.cohorts(judgements, f)}
    return {f"served.{a}": None for a in sorted(set(population["cohort"]) - seen)}


def _perspective(
    name: str, frame: pd.DataFrame, components: pd.DataFrame, population: pd.DataFrame | None,
    crossings: Sequence[Sequence[str]],
) -> Perspective:  # fmt: skip
    score = frame[list(MODELS)].to_numpy(float)
    acted = np.where(np.isnan(score), -1, score >= frame[["threshold"]].to_numpy(float)).astype(np.int64)
    who = (person_served(frame), frame["person"].astype(str))
    served, person = (pd.factorize(v, sort=True)[0].astype(np.int64) for v in who)
    alone = name == "served" and not pd.DataFrame({"of": frame["component"], "by": served}).duplicated().any()
    groups = cohorts.of(frame, name, family=f"{name}.", crossings=crossings, population=population)
    costs = zip(components["cost_false_alarm"], components["cost_miss"], strict=True)
    return Perspective(
        name=name, components=tuple(components["component"]), costs=tuple(Costs(float(a), float(m)) for a, m in costs),
        component=pd.Index(components["component"]).get_indexer(frame["component"]).astype(np.int64),
        event=frame["label"].to_numpy(np.int64), score=score, acted=acted, people=person,
        clusters=() if alone else (served,) if name == "served" else (person, served), cohorts=tuple(groups),
        items=frame["item_id"].to_numpy(object), public=frame["public"].eq(True).to_numpy(),
    )  # fmt: skip


def main_rows(views: Sequence[Perspective], main: Sequence[str]) -> pd.DataFrame:
    """The rows behind the gates, for the room that counts them for people outside.

    One row a row of a perspective that has a cohort of `main`, if somebody who judged it agreed to publication:
    perspective, component, item_id, person (a code: who was served, or who judged), event (0 or 1), each model's
    decision (0 or 1, -1 = no score), and one column for each of these cohorts, as `served.language`, with the group's
    name. Without any cohort, what was served stands without.
    """
    frames = [pd.DataFrame(columns=["perspective", "component", "item_id", "person", "event", *MODELS])]
    for view in views:
        groups = {c.name: np.array([str(g) for g in c.groups], object)[c.code] for c in view.cohorts if c.name in main}
        if (groups or (not main and view.name == "served")) and len(view.event):
            acted = dict(zip(MODELS, view.acted.T, strict=True))
            names = np.array(view.components, object)[view.component]
            frame = pd.DataFrame({"perspective": view.name, "component": names, "item_id": view.items,
                                  "person": view.people, "event": view.event, **acted, **groups})  # fmt: skip
            frames.append(frame[np.zeros(len(frame), bool) if view.public is None else view.public])
    return pd.concat(frames[1:] or frames, ignore_index=True)
