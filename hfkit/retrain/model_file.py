"""A model as bytes: the same model gives the same bytes in every process, and reading them runs no code."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import Any

import skops.io
from sklearn.compose import ColumnTransformer

from hfkit.shared.errors import BadValue

TRUSTED = ("numpy.dtype",)  # beside what skops trusts by itself (scikit-learn, numpy arrays, plain Python)
_EPOCH = (1980, 1, 1, 0, 0, 0)


def model_bytes(model: dict[str, Any]) -> bytes:
    """A model in skops' format, canonical: no memory addresses, no times, files named by content, sorted.

    >>> model_bytes({"weights": [0.5, 0.25]}) == model_bytes({"weights": [0.5, 0.25]})
    True
    """
    for step in (v for v in model.values() if isinstance(v, ColumnTransformer)):
        for _, part, _ in (*step.transformers, *step.transformers_):
            vars(part).pop("_stop_words_id", None) if hasattr(part, "__dict__") else None  # a memory address
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(model))) as raw:
        files = {name: raw.read(name) for name in raw.namelist()}
    schema = json.loads(files.pop("schema.json"))
    names = {name: f"{hashlib.sha256(data).hexdigest()[:32]}.npy" for name, data in files.items()}
    _renumber(schema, names, [0])
    ready = {names[name]: data for name, data in files.items()}
    ready["schema.json"] = json.dumps(schema, separators=(",", ":")).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as canonical:
        for name in sorted(ready):
            canonical.writestr(zipfile.ZipInfo(name, _EPOCH), ready[name], zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _renumber(node: Any, names: dict[str, str], count: list[int]) -> None:
    """Number the nodes in the order of the walk: `__id__` is a memory address, and so is the name of a file."""
    if isinstance(node, dict):
        if "__id__" in node:
            count[0] += 1
            node["__id__"] = count[0]
        if isinstance(node.get("file"), str):
            node["file"] = names.get(node["file"], node["file"])
        for value in node.values():
            _renumber(value, names, count)
    elif isinstance(node, list):
        for value in node:
            _renumber(value, names, count)


def load_model(data: bytes) -> dict[str, Any]:
    """The model in these bytes. Raises BadValue, without building anything, where a type in them is not trusted.

    >>> load_model(model_bytes({"weights": [0.5]}))
    {'weights': [0.5]}
    """
    problem = "not a model file"
    try:
        foreign = sorted(set(skops.io.get_untrusted_types(data=data)) - set(TRUSTED))
        if not foreign:
            model = skops.io.loads(data, trusted=list(TRUSTED))
            if isinstance(model, dict):
                return model
        else:
            problem = f"the types {', '.join(foreign)}"
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError) as e:
        problem = f"{problem}: {e}"
    raise BadValue(
        expected="a model file of the room retrain", found=problem, where="data/retrain/model_*.skops",
        todo="make it again with `dvc repro retrain`; do not load it by other means",
    )  # fmt: skip
