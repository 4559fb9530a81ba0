"""Retraining: one candidate per component, learned from the aggregated answers, with its steps behind toggles."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from hfkit.retrain import mitigate
from hfkit.shared import learn
from hfkit.shared.errors import NothingLeft, OneClass, ParamError
from hfkit.shared.learn import Floats
from hfkit.shared.schema import NOT_STATED

CALIBRATIONS = ("logistic", "isotonic", "none")
KEPT, RETRAINED = "kept the baseline", "retrained"
FEWEST = 20  # rows below which no calibration step is fitted
PLATT = 1e-3  # penalty of a calibration step: as good as none


@dataclass(frozen=True)
class Recipe:
    """How a candidate is made. Toggles (adapters) first, then what bounds them; `ParamError` for an unknown choice."""

    use_text: bool = True
    use_features: bool = True
    use_baseline_score: bool = True
    calibrate: str = "logistic"
    mitigate: str = "none"
    mitigate_cohort: str = ""
    constraint: str = "equalized_odds"
    penalty: float = 1.0
    min_people: int = 5
    min_labels: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        choices = {"calibrate": CALIBRATIONS, "mitigate": mitigate.KINDS, "constraint": tuple(mitigate.CONSTRAINTS)}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ParamError(expected=f"{name} of {', '.join(allowed)}", found=repr(getattr(self, name)),
                                 where=f"params.yaml: retrain.{name}", todo="choose one of them")  # fmt: skip


@dataclass(frozen=True)
class Retrained:
    """What `retrain` gives: predictions and training as tables, one model (a dict, see `predict`) a component."""

    predictions: pd.DataFrame
    training: pd.DataFrame
    models: dict[str, dict[str, Any]]


def train(
    items: pd.DataFrame, splits: pd.DataFrame, *, labels: pd.DataFrame, judgements: pd.DataFrame, rows: pd.DataFrame,
    components: pd.DataFrame, recipe: Recipe,
) -> Retrained:  # fmt: skip
    """What does a model say that has learned from the feedback?

    One candidate per component: words, features and the logit of the logged score into a logistic regression on soft
    labels (labels.p, weighted by rows.weight), then a calibration step fitted on the answers of the calibrate split,
    then, where asked, a mitigator. Every labelled row of the train split trains, unless `rows` excludes it; excluded
    rows do not calibrate either. Cohorts are never inputs.

    The baseline is the score in use; of a component without any score it is the base rate, the mean label of its
    training rows. `recalibrated` is the baseline after the same logistic step, fitted on the same calibrate rows: what
    is to be had without learning anything.

    Returns
    -------
    predictions : schema PREDICTIONS, every labelled item; where the baseline is kept, candidate equals it (items
        without a score are then left out).
    training : one row a component: status, note, rows, positives, ..., toggles, rows_hash.
    models : component -> model, for those that were retrained.

    Raises OneClass for a component with at least `min_labels` labelled items whose answers all say the same,
    NothingLeft where no item is labelled, ParamError for a cohort to mitigate over that no item carries.
    """
    table = examples(items, splits, labels=labels, judgements=judgements, rows=rows)
    if recipe.mitigate != "none" and recipe.mitigate_cohort not in items.columns:
        raise ParamError(
            expected=f"one of {', '.join(c for c in items if c.startswith('cohort.')) or 'no cohort at all'}",
            found=repr(recipe.mitigate_cohort), where="params.yaml: retrain.mitigate_cohort",
            todo="name a cohort column of the items, or set mitigate: none",
        )  # fmt: skip
    parts, training, models = [], [], {}
    declared = components.drop_duplicates("component").set_index("component")
    for component in sorted({*declared.index, *table["component"]}):
        part = table[table["component"] == component].reset_index(drop=True)
        model, note = _fit(part, declared.loc[component] if component in declared.index else None, recipe)
        baseline, again = _baseline(part), _recalibrated(part)
        candidate = baseline if model is None else pd.Series(predict(model, part), index=part.index)
        parts.append(part[["item_id", "component", "split"]].assign(baseline=baseline, recalibrated=again,
                                                                  candidate=candidate))  # fmt: skip
        threshold = float(declared["threshold"].get(component, np.nan))
        training.append(_record(component, part, model, note=note, threshold=threshold, recipe=recipe))
        if model is not None:
            models[component] = model
    predictions = pd.concat(parts, ignore_index=True).dropna(subset="candidate")
    predictions = predictions.sort_values(["component", "item_id"], ignore_index=True)
    return Retrained(predictions, pd.DataFrame(training), models)


def examples(
    items: pd.DataFrame, splits: pd.DataFrame, *, labels: pd.DataFrame, judgements: pd.DataFrame, rows: pd.DataFrame
) -> pd.DataFrame:
    """Every labelled item with its label, answers (k of n), split, use and weight, and what the model may see.

    The score of an item is the probability of its own component's event: for another component it is missing.
    Raises NothingLeft where no label has an item.
    """
    keys = ["item_id", "component"]
    own = items.rename(columns={"component": "of"})
    table = labels[[*keys, "p", "label"]].merge(own, on="item_id").merge(splits, on="item_id")
    if table.empty:
        raise NothingLeft(
            expected="at least one labelled item", found=f"{len(labels)} labels, {len(items)} items", where="aggregate",
            todo="collect answers, or correct the rubric in params.yaml: clean.rubric",
        )  # fmt: skip
    table = table.merge(rows[[*keys, "use", "weight"]], on=keys, how="left")
    table = table.merge(learn.answers(judgements), on=keys, how="left")
    table["use"] = table["use"].fillna("exploit")
    table["weight"] = table["weight"].astype(float).fillna(1.0)
    table[["k", "n"]] = table[["k", "n"]].astype(float).fillna(0.0)
    table["score"] = table["score"].astype(float).where(table["of"] == table["component"])
    return table.sort_values(["component", "item_id"], ignore_index=True)


def _baseline(part: pd.DataFrame) -> pd.Series:
    """The score in use; of a component without any score, the base rate: the mean label of its training rows."""
    score = part["score"].astype(float)
    if score.notna().any() or part.empty:
        return score
    learned = part[training_rows(part)] if training_rows(part).any() else part.assign(weight=1.0)
    return pd.Series(float(np.average(learned["p"], weights=learned["weight"])), index=part.index)


def _recalibrated(part: pd.DataFrame) -> pd.Series:
    """The baseline after a logistic step fitted on the calibrate rows; a constant one becomes their event share."""
    baseline = _baseline(part)
    rows = _calibrate_rows(part) & baseline.notna()
    k, n = (part.loc[rows, c].to_numpy(float) for c in ("k", "n"))
    if rows.sum() < FEWEST or not 0 < k.sum() < n.sum():
        return baseline
    if baseline.nunique() == 1:
        return baseline * 0 + float(k.sum() / n.sum())
    line = learn.fit_soft(learn.logit(baseline[rows].to_numpy(float)).reshape(-1, 1), k / n, n, PLATT)
    raw = learn.logit(baseline.to_numpy(float))
    return pd.Series(expit(line.coef_[0, 0] * raw + line.intercept_[0]), index=part.index)


def _calibrate_rows(part: pd.DataFrame) -> pd.Series:
    """Which rows does a calibration step see? Those of the calibrate split with an answer, unless excluded."""
    return (part["split"] == "calibrate") & (part["use"] != "exclude") & (part["n"] > 0)


def _fit(part: pd.DataFrame, declared: pd.Series | None, recipe: Recipe) -> tuple[dict[str, Any] | None, str]:
    """The model of one component, or None; and what a reader must know about it."""
    if len(part) >= recipe.min_labels and part["k"].sum() in (0.0, part["n"].sum()):
        raise OneClass(
            expected=f"answers of both classes for component {part['component'].iloc[0]}",
            found=f"{len(part)} labelled items, all {'with' if part['k'].sum() else 'without'} the event",
            where="aggregate.judgements", todo="collect answers on the other class, or correct its rubric",
        )  # fmt: skip
    train = part[training_rows(part)]
    if len(train) < recipe.min_labels:
        return None, f"{len(train)} rows to train on, fewer than {recipe.min_labels}"
    if not 0 < train["p"].sum() < len(train):
        return None, f"all {len(train)} rows to train on are of one class"
    names = learn.input_names(
        train, text=recipe.use_text, features=recipe.use_features, baseline=recipe.use_baseline_score
    )
    if not names:
        return None, "nothing to learn from: no text, feature or score is both there and switched on"
    design = learn.design(learn.inputs(train, names), train["group"], recipe.min_people)
    matrix = design.transform(learn.inputs(train, names))
    if matrix.shape[1] == 0:
        return None, f"nothing to learn from: no word is used by {recipe.min_people} people"
    model: dict[str, Any] = {
        "component": part["component"].iloc[0], "inputs": names, "design": design, "seed": recipe.seed,
        "regression": learn.fit_soft(
            matrix, train["p"].to_numpy(float), train["weight"].to_numpy(float), recipe.penalty
        ),
        "calibration": None, "mitigation": None,
    }  # fmt: skip
    notes = [_calibrate(model, part, recipe), _mitigate(model, part, matrix, declared=declared, recipe=recipe)]
    return model, "; ".join(n for n in notes if n)


def training_rows(part: pd.DataFrame) -> pd.Series:
    """Which rows does a candidate learn from? Those of the train split not excluded, with some weight."""
    return (part["split"] == "train") & (part["use"] == "exploit") & (part["weight"] > 0)


def _calibrate(model: dict[str, Any], part: pd.DataFrame, recipe: Recipe) -> str:
    """Fit the calibration step on the answers (k of n) of the calibrate split; a note where that cannot be done."""
    rows = part[_calibrate_rows(part)]
    if recipe.calibrate == "none":
        return ""
    k, n = rows["k"].sum(), rows["n"].sum()
    if len(rows) < FEWEST or not 0 < k < n:
        return f"not calibrated: {len(rows)} rows to calibrate on, {k:g} of {n:g} answers with the event"
    raw = predict(model, rows)
    share, weight = (rows["k"] / rows["n"]).to_numpy(float), rows["n"].to_numpy(float)
    if recipe.calibrate == "logistic":  # Platt (1999)
        line = learn.fit_soft(learn.logit(raw).reshape(-1, 1), share, weight, PLATT)
        model["calibration"] = {"kind": "logistic", "slope": float(line.coef_[0, 0]),
                                "intercept": float(line.intercept_[0])}  # fmt: skip
        return ""
    edge = 1.0 / (n + 2.0)  # Platt's targets: no answer count allows a probability of exactly 0 or 1
    steps = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip").fit(raw, share, sample_weight=weight)
    model["calibration"] = {"kind": "isotonic", "x": steps.X_thresholds_.tolist(), "y": steps.y_thresholds_.tolist()}
    return ""


def _mitigate(model: dict[str, Any], part: pd.DataFrame, matrix: Any, *, declared: pd.Series | None,
              recipe: Recipe) -> str:  # fmt: skip
    """Fit the mitigator, the gradient on the train rows, the thresholds on the calibrate rows; a note where not."""
    if recipe.mitigate == "none":
        return ""
    if declared is None:
        return "not mitigated: the component has no threshold in params.yaml: clean.components"
    gradient = recipe.mitigate == "exponentiated_gradient"
    rows = part[training_rows(part) if gradient else (part["split"] == "calibrate") & (part["use"] != "exclude")]
    y = (rows["p"] > 0.5).to_numpy(float)
    groups = mitigate.pooled(rows[recipe.mitigate_cohort].fillna(NOT_STATED), y)
    sizes = pd.Series(y).groupby(groups.to_numpy()).agg(["sum", "count"])
    if len(sizes) < 2 or (sizes["sum"] == 0).any() or (sizes["sum"] == sizes["count"]).any():
        return (
            f"not mitigated: fewer than two groups of {recipe.mitigate_cohort} have {mitigate.MIN_CLASS} rows a class"
        )
    if gradient:
        costs = (float(declared["cost_false_alarm"]), float(declared["cost_miss"]))
        mitigation = mitigate.fit_gradient(matrix, y, groups, constraint=recipe.constraint, costs=costs,
                                      penalty=recipe.penalty)  # fmt: skip
    else:
        mitigation = mitigate.fit_thresholds(predict(model, rows), y, groups, constraint=recipe.constraint)
    model["mitigation"] = {**mitigation, "cohort": recipe.mitigate_cohort, "threshold": float(declared["threshold"])}
    return f"mitigated over {recipe.mitigate_cohort}: {recipe.mitigate}, {recipe.constraint}"


def predict(model: dict[str, Any], items: pd.DataFrame) -> Floats:
    """The candidate's score, in 0..1, of items (columns as in clean.items; the model's inputs must be there).

    A mitigated model also needs item_id (its randomised decisions are settled by a hash of it) and, for thresholds
    by group, the cohort.
    """
    matrix = model["design"].transform(learn.inputs(items, model["inputs"]))
    p = model["regression"].predict_proba(matrix)[:, 1]
    step = model["calibration"]
    if step and step["kind"] == "logistic":
        p = expit(step["slope"] * learn.logit(p) + step["intercept"])
    elif step:
        p = np.interp(p, step["x"], step["y"])
    rule = model["mitigation"]
    if rule:
        groups = items[rule["cohort"]].fillna(NOT_STATED)
        chance = learn.unit(items["item_id"], seed=model["seed"], salt="mitigate")
        p = mitigate.enforce(p, mitigate.act(rule, matrix, p, groups), chance, rule["threshold"])
    return np.asarray(p, dtype=float)


def _record(component: str, part: pd.DataFrame, model: dict[str, Any] | None, *, note: str,
            threshold: float, recipe: Recipe) -> dict[str, Any]:  # fmt: skip
    """What was this component's model trained on? The hash is over item, label and weight of every training row."""
    rows = part[training_rows(part)]
    lines = "\n".join(f"{i}|{p!r}|{w!r}" for i, p, w in rows[["item_id", "p", "weight"]].itertuples(index=False))
    sizes = {"text": 0, "categories": 0, "numbers": 0}
    if model is not None:
        places = model["design"].output_indices_
        sizes = {k: places[k].stop - places[k].start if k in places else 0 for k in sizes}
    return {
        "component": component, "status": KEPT if model is None else RETRAINED, "note": note, "threshold": threshold,
        "labelled": len(part),
        "rows": len(rows), "positives": float(rows["p"].sum()), "weight": float(rows["weight"].sum()),
        "excluded": int((part["use"] == "exclude").sum()),
        "baseline": "score" if part["score"].notna().any() else "base rate",
        "calibrate_rows": int((part["split"] == "calibrate").sum()), "test_rows": int((part["split"] == "test").sum()),
        "words": sizes["text"], "categories": sizes["categories"], "numbers": sizes["numbers"], **asdict(recipe),
        "rows_hash": hashlib.sha256(lines.encode()).hexdigest(),
    }  # fmt: skip
