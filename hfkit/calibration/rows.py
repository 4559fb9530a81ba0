"""Which rows a score is held against: judged answers, from three points of view, for everyone and for every group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hfkit.calibration.binned import Codes, Floats
from hfkit.shared import cohorts
from hfkit.shared.cohorts import Cohort
from hfkit.shared.schema import NOT_STATED


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What was declared before looking.

    `ece_max` and `gap_max` are the targets: the largest tolerated expected calibration error, and the largest tolerated
    distance between event rate and mean score, both shares. Groups of fewer than `min_people` people are named, not
    numbered. `crossings` lists attributes to cross, as [["language", "age_band"]]; `n_boot` counts replicates.
    """

    ece_max: float = 0.05
    gap_max: float = 0.05
    min_people: int = 5
    crossings: Sequence[Sequence[str]] = ()
    n_boot: int = 1000
    level: float = 0.95


@dataclass(frozen=True)
class View:
    """A model on some rows: its name on the page, the column of its score, test rows only, the note without a score."""

    name: str
    column: str
    test_only: bool
    without: str


VIEWS = (
    View("baseline, all rows", "score", False, "no score was logged"),
    View("baseline", "baseline", True, "no baseline score"),
    View("candidate", "candidate", True, "no candidate score"),
)


@dataclass(frozen=True)
class Sample:
    """The judged rows of one group (`cohort` None: everyone) of one component in one view.

    `y` labels 0 or 1, `s` scores in [0, 1], `clusters` codes of the person served and of the rater, one a row each;
    `unscored` counts its judged rows without a score; `note` says why it has no number, empty where it has.
    """

    component: str
    threshold: float
    view: View
    cohort: Cohort | None
    group: str
    y: Floats
    s: Floats
    clusters: tuple[Codes, ...]
    unscored: int = 0
    note: str = ""

    @property
    def main(self) -> bool:
        """Is it a main group: one attribute alone?"""
        return self.cohort is not None and self.cohort.main

    @property
    def n(self) -> int:
        """Rows behind its numbers; none where it has no number."""
        return 0 if self.note else len(self.y)


def judged(judgements: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Which answers can a score be held against, and what do the models say?

    Answers of weight 0 (flagged raters) are left out. One row an answer, sorted by feedback_id: feedback_id, item_id,
    component, label, score (as logged), split, baseline and candidate (missing where retrain has no prediction for the
    item), person (who was served: unit_id, else the item), rater (rater_id, else the answer), all served.* and rater.*.
    """
    families = sorted(c for c in judgements.columns if c.startswith(("served.", "rater.")))
    columns = ["feedback_id", "item_id", "component", "unit_id", "rater_id", "label", "score", *families]
    rows = judgements.loc[judgements["weight"] > 0, columns].sort_values("feedback_id", kind="stable")
    models = predictions[["item_id", "component", "split", "baseline", "candidate"]]
    rows = rows.merge(models, on=["item_id", "component"], how="left", validate="m:1")
    for name, of, instead in (("person", "unit_id", "item_id"), ("rater", "rater_id", "feedback_id")):
        lone = f"{instead} " + rows[instead].astype(str)
        rows[name] = rows[of].astype("object").where(rows[of].notna(), lone).astype(str)
    return rows.drop(columns=["unit_id", "rater_id"]).reset_index(drop=True)


def clusters(rows: pd.DataFrame) -> tuple[Codes, Codes]:
    """Rows that go together: those about one person served, and those of one rater."""
    person, rater = (pd.factorize(rows[c], sort=True)[0].astype(np.int64) for c in ("person", "rater"))
    return person, rater


def stated(
    rows: pd.DataFrame, perspective: str, *, crossings: Sequence[Sequence[str]] = (),
    population: pd.DataFrame | None = None,
) -> list[Cohort]:  # fmt: skip
    """The cohorts of one perspective, less those with an attribute that nobody stated."""
    family = f"{perspective}."
    every = cohorts.of(rows, perspective, family=family, crossings=crossings, population=population)
    return [c for c in every if any(NOT_STATED not in g.values for g in c.groups)]


def samples(
    rows: pd.DataFrame, components: pd.DataFrame, *, settings: Settings, population: pd.DataFrame | None = None
) -> list[Sample]:
    """Everyone, then every group of every cohort, for each component and view; `rows` as `judged` gives them.

    Groups that `population` declares, and those that another component has, stand there without rows too. People are
    the items (served) and the raters, an anonymous answer counting as one.
    """
    rows = rows.sort_values("feedback_id", kind="stable").reset_index(drop=True)
    declared = [c for p in cohorts.PEOPLE for c in stated(rows, p, crossings=settings.crossings, population=population)]
    groups = [(c, str(g), c.code == code) for c in declared for code, g in enumerate(c.groups)]
    people = {"served": pd.factorize(rows["item_id"])[0], "rater": pd.factorize(rows["rater"])[0]}
    out = []
    for component in components.sort_values("component").itertuples():
        own = (rows["component"] == component.component).to_numpy()
        for view in VIEWS:
            inside = own & ((rows["split"] == "test").to_numpy() | (not view.test_only))
            part = rows[inside]
            y, s = part["label"].to_numpy(float), part[view.column].to_numpy(float)
            whole = Sample(str(component.component), float(component.threshold), view, None, cohorts.ALL, y, s,
                           clusters(part))  # fmt: skip
            out.append(_narrowed(whole, np.ones(len(y), bool), people["served"][inside], settings.min_people))
            for cohort, name, member in groups if own.any() else []:
                group = replace(whole, cohort=cohort, group=name)
                counted = people[cohort.perspective][inside]
                out.append(_narrowed(group, member[inside], counted, settings.min_people))
    return out


def _narrowed(whole: Sample, member: NDArray[np.bool_], people: Codes, min_people: int) -> Sample:
    """The sample on those of its rows that belong to the group and have a score, and why it has no number."""
    scored = member & ~np.isnan(whole.s)
    unit = cohorts.PEOPLE["served" if whole.cohort is None else whole.cohort.perspective]
    note = str(cohorts.too_few(len(np.unique(people[scored])), min_people, unit))
    if not scored.any():
        note = whole.view.without if member.any() else f"no judged {'test ' if whole.view.test_only else ''}rows"
    return replace(
        whole, y=whole.y[scored], s=whole.s[scored], clusters=tuple(c[scored] for c in whole.clusters),
        unscored=int(member.sum() - scored.sum()), note=note,
    )  # fmt: skip
