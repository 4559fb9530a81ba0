"""Decisions under a fairness constraint over a declared cohort of people served: fairlearn's algorithms, as plain data.

fairlearn fits; what it found (a mixture of classifiers, or two thresholds a group) is kept as numbers, so that a model
file holds no foreign code. `act` gives the same probability of acting as fairlearn does.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
from fairlearn.postprocessing import ThresholdOptimizer
from fairlearn.reductions import (
    DemographicParity,
    EqualizedOdds,
    ErrorRate,
    ExponentiatedGradient,
    FalsePositiveRateParity,
    TruePositiveRateParity,
)
from sklearn.base import BaseEstimator

from hfkit.shared import learn
from hfkit.shared.learn import Floats

CONSTRAINTS = {
    "demographic_parity": DemographicParity, "equalized_odds": EqualizedOdds,
    "true_positive_rate_parity": TruePositiveRateParity, "false_positive_rate_parity": FalsePositiveRateParity,
}  # fmt: skip
KINDS = ("none", "exponentiated_gradient", "threshold_optimizer")
POOLED = "pooled"
MIN_CLASS = 10  # rows of each class a group needs before it may have a threshold of its own


class Rows(BaseEstimator):  # type: ignore[misc]
    """A logistic regression whose X is row numbers of a kept matrix: fairlearn does not pass sparse matrices on."""

    def __init__(self, matrix: Any = None, penalty: float = 1.0) -> None:
        self.matrix, self.penalty = matrix, penalty

    def __sklearn_clone__(self) -> Rows:
        return Rows(self.matrix, self.penalty)

    def fit(self, X: Any, y: Any, sample_weight: Any) -> Rows:
        """Fit on the rows named in X; a single class is fine (it is what a constraint may ask for)."""
        weight = np.asarray(sample_weight, dtype=float)
        p = np.asarray(y, dtype=float).ravel()
        self.model_ = learn.fit_soft(self.matrix[np.asarray(X).ravel()], p, weight / weight.mean(), self.penalty)
        return self

    def predict(self, X: Any) -> Any:
        """0 or 1 for the rows named in X."""
        return self.model_.predict(self.matrix[np.asarray(X).ravel()])


class Score(BaseEstimator):  # type: ignore[misc]
    """A model whose X already is its score."""

    def fit(self, X: Any, y: Any = None) -> Score:
        """Nothing to fit."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict_proba(self, X: Any) -> Any:
        """The score as a column beside its complement."""
        p = np.asarray(X, dtype=float).ravel()
        return np.column_stack([1 - p, p])


def pooled(groups: pd.Series, y: Floats, least: int = MIN_CLASS) -> pd.Series:
    """Groups with fewer than `least` rows of a class are pooled: fairlearn cannot place a threshold in them.

    >>> pooled(pd.Series(["a", "a", "b"]), np.array([0.0, 1.0, 1.0]), least=1).tolist()
    ['a', 'a', 'pooled']
    """
    small = pd.DataFrame({"g": groups.to_numpy(), "y": y}).groupby("g")["y"].agg(["sum", "count"])
    few = small.index[np.minimum(small["sum"], small["count"] - small["sum"]) < least]
    return groups.where(~groups.isin(few), POOLED)


def fit_gradient(matrix: Any, y: Floats, groups: pd.Series, *, constraint: str, costs: tuple[float, float],
                 penalty: float, max_iter: int = 20) -> dict[str, Any]:  # fmt: skip
    """Which mixture of classifiers costs least under the constraint? It never looks at the group when it predicts.

    y: 0/1. costs: (false alarm, miss), scaled to 1. Agarwal et al. (2018), ICML, through fairlearn's
    ExponentiatedGradient with its slack of 0.01.
    """
    top = max(costs) or 1.0
    mitigator = ExponentiatedGradient(
        Rows(matrix, penalty), CONSTRAINTS[constraint](), max_iter=max_iter,
        objective=ErrorRate(costs={"fp": costs[0] / top, "fn": costs[1] / top}),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.Pandas4Warning)  # fairlearn 0.15 with pandas 3.1
        mitigator.fit(np.arange(len(y)).reshape(-1, 1), y.astype(int), sensitive_features=groups.to_numpy(object))
    used = [(float(w), i) for i, w in mitigator.weights_.sort_index().items() if w > 0]
    parts = [{"weight": w, **_constant_or_model(mitigator.predictors_[i])} for w, i in used]
    return {"kind": "exponentiated_gradient", "constraint": constraint, "parts": parts}


def _constant_or_model(fitted: Any) -> dict[str, Any]:
    """fairlearn puts a constant classifier where the reweighted labels are all alike."""
    if isinstance(fitted, Rows):
        return {"model": fitted.model_, "constant": math.nan}
    return {"model": None, "constant": float(np.ravel(fitted.predict(np.zeros((1, 1))))[0])}


def fit_thresholds(score: Floats, y: Floats, groups: pd.Series, *, constraint: str) -> dict[str, Any]:
    """Which two thresholds a group, mixed at which odds, meet the constraint at the best balanced accuracy?

    Hardt et al. (2016), NeurIPS, through fairlearn's ThresholdOptimizer. It needs the group when it predicts, of every
    person served; an unknown group gets the plain score's decision.
    """
    mitigator = ThresholdOptimizer(
        estimator=Score(), constraints=constraint, prefit=True, predict_method="predict_proba", flip=False,
        objective="balanced_accuracy_score",
    )  # fmt: skip
    mitigator.fit(score.reshape(-1, 1), y.astype(int), sensitive_features=groups.to_numpy(object))
    fitted = mitigator.interpolated_thresholder_.interpolation_dict
    rules = {
        str(g): [
            float(r.p0), float(r.operation0.threshold), float(r.p1), float(r.operation1.threshold),
            float(r.get("p_ignore", 0.0)), float(r.get("prediction_constant", 0.0)),
        ]
        for g, r in sorted(fitted.items())
    }  # fmt: skip
    return {"kind": "threshold_optimizer", "constraint": constraint, "groups": rules}


def act(mitigation: dict[str, Any], matrix: Any, score: Floats, groups: pd.Series) -> Floats:
    """With which probability does the mitigated model act on each row? NaN for a group it does not know."""
    if mitigation["kind"] == "exponentiated_gradient":
        total = np.zeros(len(score))
        for part in mitigation["parts"]:
            model = part["model"]
            total += part["weight"] * (part["constant"] if model is None else model.predict(matrix).astype(float))
        return total
    declared = mitigation["groups"]
    fallback = declared.get(POOLED, [math.nan] * 6)
    rule = np.array([declared.get(g, fallback) for g in groups], dtype=float).reshape(len(score), 6)
    mixed = rule[:, 0] * (score > rule[:, 1]) + rule[:, 2] * (score > rule[:, 3])
    return np.asarray(rule[:, 4] * rule[:, 5] + (1 - rule[:, 4]) * mixed, dtype=float)


def enforce(score: Floats, acting: Floats, chance: Floats, threshold: float) -> Floats:
    """The scores, moved to the threshold only where the mitigated decision is the other one.

    `chance` in [0, 1) settles randomised decisions: a row acts where chance < acting. Rows with a NaN keep their score.

    >>> enforce(np.array([0.2, 0.8, 0.8]), np.array([1.0, 0.0, np.nan]), np.zeros(3), 0.5).round(6).tolist()
    [0.5, 0.5, 0.8]
    """
    wanted = chance < acting
    below = np.nextafter(threshold, -1.0)
    moved = np.where(wanted, np.maximum(score, threshold), np.minimum(score, below))
    return np.asarray(np.clip(np.where(np.isnan(acting), score, moved), 0.0, 1.0), dtype=float)
