"""A second opinion: the room's rows as a fairlearn MetricFrame, for its tools and as a check of the point values."""

from __future__ import annotations

import numpy as np
import pandas as pd
from fairlearn.metrics import (
    MetricFrame,
    false_negative_rate,
    false_positive_rate,
    selection_rate,
    true_negative_rate,
    true_positive_rate,
)
from sklearn.metrics import accuracy_score, precision_score

from hfkit.fairness.perspective import Perspective
from hfkit.shared.errors import NothingLeft, ParamError
from hfkit.shared.measures import MODELS


def _precision(y_true: object, y_pred: object) -> float:
    """Without a selected row 0.0, as fairlearn's rates have it, and no warning."""
    return float(precision_score(y_true, y_pred, zero_division=0.0))


METRICS = {
    "selection rate": selection_rate, "true positive rate": true_positive_rate,
    "false positive rate": false_positive_rate, "true negative rate": true_negative_rate,
    "false negative rate": false_negative_rate, "precision": _precision, "accuracy": accuracy_score,
}  # fmt: skip


def metric_frame(perspective: Perspective, attribute: str, component: str, model: str) -> MetricFrame:
    """What does fairlearn say of the same rows? METRICS by group, each in 0..1, as a MetricFrame without a bootstrap.

    The rows of one component on which `model` (of MODELS) decided; groups are named as in the evidence, those without
    such a row are absent. Where fairlearn differs from this room: a rate without any row that counts (the true positive
    rate of a group without the event) is 0.0 there, undefined here; `difference()` of a single group is 0.0; gaps are
    between the extreme groups, which many small groups alone make large, not of a group against everyone else; rows
    that go together by rater are not told from independent ones. Raises ParamError for a name there is none of,
    NothingLeft where no row has a decision.
    """
    names = [c.name for c in perspective.cohorts]
    choices = {"attribute": names, "component": perspective.components, "model": MODELS}
    for kind, name in (("attribute", attribute), ("component", component), ("model", model)):
        if name not in choices[kind]:
            raise ParamError(
                expected=f"one of {', '.join(choices[kind]) or 'none'}", found=str(name),
                where=f"fairness: {kind} of the {perspective.name} perspective", todo="correct it",
            )  # fmt: skip
    cohort = perspective.cohorts[names.index(attribute)]
    acted = perspective.acted[:, MODELS.index(model)]
    rows = np.flatnonzero((perspective.component == perspective.components.index(component)) & (acted >= 0))
    if not len(rows):
        raise NothingLeft(
            expected="a row with a decision", found="none",
            where=f"fairness: {component}, {model}, {perspective.name} perspective",
            todo="retrain with test rows of this component, or choose another one",
        )  # fmt: skip
    groups = np.array([str(g) for g in cohort.groups], object)[cohort.code[rows]]
    return MetricFrame(
        metrics=METRICS, y_true=perspective.event[rows], y_pred=acted[rows],
        sensitive_features=pd.Series(groups, name=attribute),
    )  # fmt: skip
