"""Is the retrained model better than the serving one on data it never saw? Both on the same rows, hence paired."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from hfkit.retrain.fit import KEPT
from hfkit.shared import evidence as ev
from hfkit.shared import learn, stats
from hfkit.shared.learn import Floats

BETTER = {"log loss": "lower", "Brier score": "lower", "AUC": "higher"}
RATES = {"true positive rate": "higher", "false positive rate": "lower"}
JUDGED = "log loss difference"
MODELS = ("baseline", "candidate")
WORDS = {"pass": "better", "fail": "not better by the margin", "cannot tell": "undecided"}


def held_out(predictions: pd.DataFrame, splits: pd.DataFrame, judgements: pd.DataFrame) -> pd.DataFrame:
    """The test rows that were answered: predictions with k of n answers (weighted) and the text group of each."""
    rows = predictions[predictions["split"] == "test"]
    rows = rows.merge(learn.answers(judgements), on=["item_id", "component"])
    rows = rows.merge(splits[["item_id", "group"]], on="item_id")
    return rows.sort_values(["component", "item_id"], ignore_index=True)


def evidence(rows: pd.DataFrame, training: pd.DataFrame, *, margin: float, level: float, n_boot: int,
             rng: np.random.Generator) -> pd.DataFrame:  # fmt: skip
    """How good are baseline and candidate on held-out answers, and how far apart?

    Parameters
    ----------
    rows : as of `held_out`; every answer counts once (with its weight), against the score of its item.
    training : as of `retrain`; a component that kept the baseline gets one row "cannot tell".
    margin : log loss (nats) the candidate must gain at least; the one difference with a target.

    Returns
    -------
    Evidence rows `log loss`, `Brier score`, `AUC`, each ` (baseline)`, ` (candidate)` and ` difference`, a component;
    differences are candidate minus baseline (log loss and Brier below 0, AUC above 0: the candidate is better). True
    and false positive rate of both models at the component's threshold, where one is declared. Intervals: bootstrap
    over groups of items with the same text, both models resampled together; raters who judged many items are not
    modelled.
    """
    out: list[dict[str, object]] = []
    for record in training.sort_values("component").itertuples():
        part = rows[rows["component"] == record.component]
        kept = record.status == KEPT
        interval = partial(stats.bootstrap, rng=rng, n_boot=n_boot, level=level, cluster=part["group"].to_numpy(object))
        for name in (*BETTER, *([] if math.isnan(record.threshold) else RATES)):
            for models in ((MODELS[0],), *(() if kept else (MODELS[1:], MODELS))):
                if not (name in RATES and len(models) == 2):
                    out.append(_measured(part, record, name, models, interval=interval, margin=margin))
        note = f"{KEPT}: {record.note}" if kept else record.note
        if kept:
            out.append(ev.row(JUDGED, component=record.component, value=math.nan, n=len(part), better="lower",
                              verdict="cannot tell", note=note))  # fmt: skip
        out.append(
            ev.row("training rows", component=record.component, value=float(record.rows), n=record.rows, note=note)
        )
    return ev.table(out)


def _measured(part: pd.DataFrame, record: Any, name: str, models: tuple[str, ...], *, interval: Callable[..., Any],
              margin: float) -> dict[str, object]:  # fmt: skip
    """One row: a measure of one model, or of the second minus the first."""
    count, event = part["n"].to_numpy(float), part["k"].to_numpy(float)
    said = [part[m].to_numpy(float) for m in models]
    missing = not len(part) or any(np.isnan(s).any() for s in said)
    value, low, high = math.nan, math.nan, math.nan
    if not missing:
        statistic, arrays = _statistic(name, event, count, said, record.threshold)
        value, low, high = interval(statistic, *arrays)
        if name in RATES and value in (0.0, 1.0):  # every resample gives the same: no interval
            low, high = stats.exact(arrays[0].sum(), arrays[1].sum())
    measure = f"{name} difference" if len(models) == 2 else f"{name} ({models[0]})"
    target = measure == JUDGED
    verdict = ev.judge(low, high, target=-margin, better="lower") if target else "info"
    return ev.row(
        measure, component=record.component, value=value, low=low, high=high, n=round(count.sum()),
        better=(BETTER | RATES)[name], verdict=verdict, note=_note(missing, part, target, margin, value),
    )  # fmt: skip


def _note(missing: bool, part: pd.DataFrame, target: bool, margin: float, value: float) -> str:
    if missing:
        bare = int(part["baseline"].isna().sum())
        return (
            f"no score of the serving model on {bare} of {len(part)} test items: log it"
            if len(part)
            else "no test rows"
        )
    if math.isnan(value):
        return "test answers of one class only"
    return f"target: at most {0 - margin:g}" if target else ""


def _statistic(
    name: str, event: Floats, count: Floats, said: list[Floats], threshold: float
) -> tuple[Callable[..., float], list[Floats]]:
    """The statistic, and the arrays whose rows are resampled. Two models: the second minus the first."""
    if name == "AUC":
        return _auc, [event, count, *said]
    if name in RATES:
        of = event if name == "true positive rate" else count - event
        return _ratio, [of * (said[0] >= threshold), of]
    y = event / count
    losses = [
        count * (learn.log_losses(y, s) if name == "log loss" else y * (1 - s) ** 2 + (1 - y) * s**2) for s in said
    ]
    return _ratio, [losses[-1] - losses[0] if len(losses) == 2 else losses[0], count]


def _ratio(total: Floats, count: Floats) -> float:
    return float(total.sum() / count.sum()) if count.sum() > 0 else math.nan


def _auc(event: Floats, count: Floats, *said: Floats) -> float:
    y = np.repeat([1.0, 0.0], len(event))
    weight = np.concatenate([event, count - event])
    found = [stats.auc(y, np.tile(s, 2), weight) for s in said]
    return found[-1] - found[0] if len(found) == 2 else found[0]


def metrics(evidence: pd.DataFrame, training: pd.DataFrame) -> dict[str, float]:
    """The evidence as a flat dict, `safety.log_loss_candidate` -> value, and how many components were retrained."""
    slug = {m: re.sub(r"\W+", "_", m.lower()).strip("_") for m in evidence["measure"]}
    values = {f"{r.component}.{slug[r.measure]}": float(r.value) for r in evidence.itertuples()}
    return {"components_retrained": float((training["status"] != KEPT).sum()), **values}


def curve(rows: pd.DataFrame, bins: int = 10) -> pd.DataFrame:
    """What share of answers confirms the event, by the score? One row a component, model and equal-width score bin.

    Columns component, model, score (mean), share, answers. Empty bins are left out.
    """
    long = rows.melt(["component", "k", "n"], list(MODELS), var_name="model", value_name="score").dropna(subset="score")
    long["bin"] = np.minimum((long["score"] * bins).astype(int), bins - 1)
    long["mass"] = long["score"] * long["n"]
    out = long.groupby(["component", "model", "bin"], as_index=False)[["k", "n", "mass"]].sum()
    return out.assign(score=out["mass"] / out["n"], share=out["k"] / out["n"], answers=out["n"])[
        ["component", "model", "score", "share", "answers"]
    ]


def answer(evidence: pd.DataFrame, training: pd.DataFrame) -> str:
    """What did we learn, in a sentence with the numbers?

    >>> t = pd.DataFrame({"component": ["safety"], "status": ["retrained"], "rows": [900]})
    >>> e = ev.table([ev.row("log loss difference", component="safety", value=-0.1, low=-0.2, high=-0.05, n=300,
    ...                      better="lower", verdict="pass")])
    >>> answer(e, t)
    'On held-out answers the retrained model is better for 1, not better by the margin for 0, undecided for 0 of 1 components. safety: log loss changes by -0.100 [-0.200, -0.050].'
    """  # noqa: E501
    told = evidence[evidence["measure"] == JUDGED]
    counts = told["verdict"].value_counts()
    known = [f"{r.component}: log loss changes by {r.value:.3f} [{r.low:.3f}, {r.high:.3f}]"
             for r in told[told["value"].notna()].sort_values("value").head(2).itertuples()]  # fmt: skip
    kept = training.loc[training["status"] == KEPT, "component"].tolist()
    tail = f" Kept the baseline: {', '.join(kept[:4])}{' and more' if len(kept) > 4 else ''}." if kept else ""
    told_of = ", ".join(f"{word} for {int(counts.get(v, 0))}" for v, word in WORDS.items())
    said = "; ".join(known) + "." if known else ""
    return f"On held-out answers the retrained model is {told_of} of {len(told)} components. {said}{tail}".strip()
