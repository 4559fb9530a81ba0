"""Retrain: is the retrained model cheaper for the people served, on data it never saw?

`retrain` fits one candidate per component with the steps its `Recipe` switches on; `evidence` compares it with the
baseline and the recalibrated baseline on held-out answers; `model_files` gives the bytes to keep, `load_model` and
`predict` use them again.
"""

import re
from typing import Any

import pandas as pd

from hfkit.retrain.cost import Decided, Targets, decided, thresholds
from hfkit.retrain.cost import evidence as _costs
from hfkit.retrain.fit import KEPT, Recipe, Retrained, predict, train
from hfkit.retrain.held_out import curve, scores, test_rows
from hfkit.retrain.model_file import load_model, model_bytes
from hfkit.retrain.page import answer, before_after, by_group, metrics, recommend
from hfkit.shared import evidence as ev

__all__ = [
    "Decided", "Recipe", "Retrained", "Targets", "answer", "before_after", "by_group", "curve", "decided", "evidence",
    "load_model", "metrics", "model_bytes", "model_files", "predict", "recommend", "test_rows", "thresholds",
    "train",
]  # fmt: skip


def evidence(rows: pd.DataFrame, training: pd.DataFrame, components: pd.DataFrame, *, targets: Targets) -> pd.DataFrame:
    """What do the decisions cost before and after, for everyone and for main groups, and how good are the scores?

    `rows` as of `test_rows`, `training` as of `train`. Judged are the changes of expected cost (see cost.evidence);
    rates, losses and ranking have no target. `training rows` says what a component learned from, or why it did not.
    """
    out = _costs(decided(rows, components), targets)
    for r in training.sort_values("component").itertuples():
        out += scores(rows[rows["component"] == r.component])
        note = f"{KEPT}: {r.note}" if r.status == KEPT else r.note
        out.append(ev.row("training rows", component=r.component, value=float(r.rows), n=r.rows, note=note))
    return ev.table(out)


def model_files(models: dict[str, dict[str, Any]]) -> dict[str, bytes]:
    """The models by the name `tables.write` wants (`__` becomes a dot); components are numbered where names collide.

    >>> list(model_files({"../a b": {}, "..-a-b": {}}))
    ['model_a_b__skops', 'model_a_b-2__skops']
    """
    out: dict[str, bytes] = {}
    for component in models:
        stem, count = re.sub(r"[\W_]+", "_", component, flags=re.ASCII).strip("_") or "component", 1
        while (name := f"model_{stem}{f'-{count}' if count > 1 else ''}__skops") in out:
            count += 1
        out[name] = model_bytes(models[component])
    return out
