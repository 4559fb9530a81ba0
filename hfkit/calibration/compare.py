"""Maps fitted on one split and judged on another: would a simple correction of the score help?"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from hfkit.calibration import publish
from hfkit.calibration.binned import Floats, brier_parts, debiased, ece
from hfkit.calibration.groups import Settings
from hfkit.calibration.recalibrate import EDGE, Map, beta, isotonic, logistic
from hfkit.shared import stats

MAPS: dict[str, Callable[[Floats, Floats], Map | None]] = {"logistic": logistic, "isotonic": isotonic, "beta": beta}
SCORES = ("ece", "debiased", "brier", "log_loss")
GAIN = ("difference", "low", "high")
COLUMNS = ["component", "model", "map", "n_fit", "n_test", *SCORES, *GAIN, "verdict", "note"]


def maps(rows: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Would a simple correction of the score help? Maps fitted on the calibrate split, judged on the test split.

    `rows` as `judged` gives them. Columns: component, model, map ("none" = the score as it is), n_fit, n_test, ece,
    debiased, brier, log_loss (all lower is better), difference in log loss from "none" with its bounds low and high
    (below 0 the map is better; Student's t over items), verdict (pass = better shown, fail = worse shown, cannot tell;
    info for "none") and note; a map that cannot be fitted is NaN with the reason. The candidate's own last step saw
    the calibrate split, so its maps have less to gain there than the baseline's. Means are rounded outward.

    The interval takes the fitted map as it is; that another calibrate split would give another map is not in it.
    """
    out = []
    for component, part in rows.groupby("component", sort=True):
        for model in ("baseline", "candidate"):
            known = part[part[model].notna()].sort_values(["item_id", "feedback_id"])
            fit, test = known[known["split"] == "calibrate"], known[known["split"] == "test"]
            for name in ("none", *MAPS):
                line = _compare(fit, test, model, name, settings)
                out.append({"component": component, "model": model, "map": name, **line})
    return pd.DataFrame(out, columns=COLUMNS)


def _compare(fit: pd.DataFrame, test: pd.DataFrame, model: str, name: str, settings: Settings) -> dict[str, object]:
    """One map on one component and model."""
    y, s = test["label"].to_numpy(float), test[model].to_numpy(float)
    sizes: dict[str, object] = {"n_fit": publish.size(len(fit), settings), "n_test": publish.size(len(test), settings)}
    undefined = {**sizes, **dict.fromkeys((*SCORES, *GAIN), math.nan), "verdict": "cannot tell"}
    if test["item_id"].nunique() < settings.suppress_below or not len(test):
        return {**undefined, "note": f"no judged test rows with a {model} score, or too few"}
    mapped, reason = (s, "") if name == "none" else _mapped(fit, s, model, name)
    if reason:
        return {**undefined, "note": reason}
    item = test["item_id"].to_numpy(object).astype(str)
    scores = (ece(y, mapped), debiased(y, mapped, item), brier_parts(y, mapped)["brier"],
              float(stats.log_loss(y, mapped)))  # fmt: skip
    losses = _loss(y, mapped) - _loss(y, s)
    gain = (math.nan,) * 3 if name == "none" else stats.mean_interval(losses, item, settings.level)
    gain, *rounded = publish.outward([gain, *((v, v, v) for v in scores)], settings)
    told = dict(zip(SCORES, (value for value, _, _ in rounded), strict=True))
    note = "" if name == "none" or not math.isnan(gain[1]) else "no interval: all test rows are about one item"
    verdict = "info" if name == "none" else "pass" if gain[2] < 0 else "fail" if gain[1] > 0 else "cannot tell"
    return {**sizes, **told, **dict(zip(GAIN, gain, strict=True)), "verdict": verdict, "note": note}


def _mapped(fit: pd.DataFrame, s: Floats, model: str, name: str) -> tuple[Floats, str]:
    """The scores through a map, or why there is none."""
    known = fit["label"].to_numpy(float)
    if not len(fit) or known.min() == known.max():
        return s, "the calibrate split has no rows of both classes"
    fitted = MAPS[name](known, fit[model].to_numpy(float))
    return (s, "the map cannot be fitted to these scores") if fitted is None else (np.clip(fitted(s), 0, 1), "")


def _loss(y: Floats, s: Floats) -> Floats:
    """The log loss of each row, scores moved inside by 1e-6 as in stats.log_loss."""
    p = np.clip(s, EDGE, 1 - EDGE)
    out: Floats = -np.where(y > 0, np.log(p), np.log1p(-p))
    return out
