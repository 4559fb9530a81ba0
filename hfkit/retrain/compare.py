"""Is the retrained model better than the serving one on data it never saw? Both on the same rows, hence paired."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from hfkit.retrain.fit import KEPT
from hfkit.shared import evidence as ev
from hfkit.shared import learn, stats
from hfkit.shared.learn import Floats

BETTER = {"log_loss": "lower", "brier": "lower", "auc": "higher"}
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
    Evidence rows {log_loss, brier, auc}_{baseline, candidate, difference} a component, differences candidate minus
    baseline (log loss and Brier below 0, AUC above 0: the candidate is better). Intervals: bootstrap over groups of
    items with the same text, both models resampled together; raters who judged many items are not modelled.
    """
    out: list[dict[str, object]] = []
    for record in training.sort_values("component").itertuples():
        part = rows[rows["component"] == record.component]
        if record.status == KEPT:
            out.append(_row("log_loss_difference", record.component, math.nan, len(part), "cannot tell",
                            f"{KEPT}: {record.note}"))  # fmt: skip
            continue
        out += _component(part, record.component, margin=margin, level=level, n_boot=n_boot, rng=rng)
        out.append(_row("training_rows", record.component, float(record.rows), int(record.rows), "info", record.note))
    return ev.table(out)


def _row(measure: str, component: str, value: float, n: int, verdict: str, note: str) -> dict[str, object]:
    better = BETTER.get(measure.removesuffix("_difference"), "none")
    return ev.row(measure, component=component, value=value, n=n, better=better, verdict=verdict, note=note)


def _component(part: pd.DataFrame, component: str, *, margin: float, level: float, n_boot: int,
               rng: np.random.Generator) -> list[dict[str, object]]:  # fmt: skip
    out = []
    interval = partial(stats.bootstrap, rng=rng, n_boot=n_boot, level=level, cluster=part["group"].to_numpy(object))
    count, event = part["n"].to_numpy(float), part["k"].to_numpy(float)
    said = {m: part[m].to_numpy(float) for m in MODELS}
    for name, better in BETTER.items():
        for model in (*MODELS, "difference"):
            wanted = list(said.values()) if model == "difference" else [said[model]]
            missing = not len(part) or any(np.isnan(s).any() for s in wanted)
            value, low, high = math.nan, math.nan, math.nan
            if not missing:
                statistic, arrays = _statistic(name, event, count, wanted)
                value, low, high = interval(statistic, *arrays)
            target = model == "difference" and name == "log_loss"
            verdict = ev.judge(low, high, target=-margin, better="lower") if target else "info"
            out.append(ev.row(
                f"{name}_{model}", value=value, low=low, high=high, n=round(count.sum()), component=component,
                better=better, verdict=verdict, note=_note(missing, part, target, margin, value),
            ))  # fmt: skip
    return out


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
    return f"target: at most {-margin:g}" if target else ""


def _statistic(
    name: str, event: Floats, count: Floats, said: list[Floats]
) -> tuple[Callable[..., float], list[Floats]]:
    """The statistic, and the arrays whose rows are resampled. Two models: the second minus the first."""
    if name == "auc":
        return _auc, [event, count, *said]
    y = event / count
    losses = [
        count * (learn.log_losses(y, s) if name == "log_loss" else y * (1 - s) ** 2 + (1 - y) * s**2) for s in said
    ]
    return _ratio, [losses[-1] - losses[0] if len(losses) == 2 else losses[0], count]


def _ratio(total: Floats, count: Floats) -> float:
    return float(total.sum() / count.sum())


def _auc(event: Floats, count: Floats, *said: Floats) -> float:
    y = np.repeat([1.0, 0.0], len(event))
    weight = np.concatenate([event, count - event])
    found = [stats.auc(y, np.tile(s, 2), weight) for s in said]
    return found[-1] - found[0] if len(found) == 2 else found[0]


def metrics(evidence: pd.DataFrame, training: pd.DataFrame) -> dict[str, float]:
    """The evidence as a flat dict: `<component>.<measure>` -> value, and how many components were retrained."""
    values = {f"{r.component}.{r.measure}": float(r.value) for r in evidence.itertuples()}
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
    >>> e = ev.table([ev.row("log_loss_difference", component="safety", value=-0.1, low=-0.2, high=-0.05, n=300,
    ...                      better="lower", verdict="pass")])
    >>> answer(e, t)
    'On held-out answers the retrained model is better for 1, not better by the margin for 0, undecided for 0 of 1 components. safety: log loss changes by -0.100 [-0.200, -0.050].'
    """  # noqa: E501
    told = evidence[evidence["measure"] == "log_loss_difference"]
    counts = told["verdict"].value_counts()
    known = [f"{r.component}: log loss changes by {r.value:.3f} [{r.low:.3f}, {r.high:.3f}]"
             for r in told[told["value"].notna()].sort_values("value").head(2).itertuples()]  # fmt: skip
    kept = training.loc[training["status"] == KEPT, "component"].tolist()
    tail = f" Kept the baseline: {', '.join(kept[:4])}{' and more' if len(kept) > 4 else ''}." if kept else ""
    told_of = ", ".join(f"{word} for {int(counts.get(v, 0))}" for v, word in WORDS.items())
    said = "; ".join(known) + "." if known else ""
    return f"On held-out answers the retrained model is {told_of} of {len(told)} components. {said}{tail}".strip()
