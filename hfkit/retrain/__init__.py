"""Retrain: is the retrained model better than the serving one on data it never saw?

`retrain` fits one candidate per component with the steps its `Recipe` switches on; `evidence` compares it with the
serving model on held-out answers; `model_files` gives the bytes to keep, `load_model` and `predict` use them again.
"""

import re
from typing import Any

from hfkit.retrain.compare import answer, curve, evidence, held_out, metrics
from hfkit.retrain.fit import Recipe, Retrained, predict, retrain
from hfkit.retrain.model_file import load_model, model_bytes
from hfkit.shared.learn import split

__all__ = [
    "Recipe", "Retrained", "answer", "curve", "evidence", "held_out", "load_model", "metrics", "model_bytes",
    "model_files", "predict", "retrain", "split",
]  # fmt: skip


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
