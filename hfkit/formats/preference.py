"""Preferences as JSON lines or a JSON array: {prompt, chosen, rejected}, or {input, preferred_output,
non_preferred_output}, as trainers of pairwise preferences take them. Lists of messages are read by their last words.

A record is one comparison of two replies: its items are `<row>.chosen` and `<row>.rejected` (see `usual`).
"""

from __future__ import annotations

from typing import Any

import orjson
import pandas as pd

from hfkit.formats import jsonl
from hfkit.formats.chat import last_words
from hfkit.formats.plugin import Format
from hfkit.shared.records import Records


def read(data: bytes, source: str) -> Records:
    """The records of a file of preferences. Raises UnknownFormat where it is no JSON."""
    return jsonl.records(source, jsonl.either(data, source), lambda r: [_pair(r)])


def _pair(record: dict[str, Any]) -> jsonl.Parsed:
    if isinstance(record.get("input"), dict):
        record = {**record, "prompt": record["input"].get("messages"), "chosen": record.get("preferred_output"),
                  "rejected": record.get("non_preferred_output")}  # fmt: skip
        record = {k: v for k, v in record.items() if k not in ("input", "preferred_output", "non_preferred_output")}
    texts = {k: last_words(record.get(k)) for k in ("chosen", "rejected")}
    prompt = last_words(record.get("prompt"))
    if not all(isinstance(v, str) for v in texts.values()) or (prompt is None and record.get("prompt") is not None):
        return "not_a_record"
    return record | texts | {"prompt": prompt}


def write(items: pd.DataFrame, comparisons: pd.DataFrame) -> bytes:
    """Comparisons with a winner, of items with a response; ties, which no trainer takes, are left out."""
    shown = items.set_index("item_id")
    out = []
    for c in comparisons.sort_values("comparison_id").to_dict("records"):
        if c["winner"] not in ("a", "b"):
            continue
        chosen, rejected = (shown.loc[c[f"item_{s}"]] for s in (c["winner"], "b" if c["winner"] == "a" else "a"))
        texts = chosen.get("response"), rejected.get("response")
        if all(isinstance(t, str) for t in texts):
            prompt = chosen.get("prompt")
            row = {"prompt": prompt if isinstance(prompt, str) else None, "chosen": texts[0], "rejected": texts[1]}
            out.append(orjson.dumps(row))
    return b"".join(line + b"\n" for line in out)


FORMAT = Format(
    read,
    write,
    usual={
        "comparisons": {"columns": {
            "comparison_id": "@row", "item_a": "{@row}.chosen", "item_b": "{@row}.rejected", "winner": "=a",
        }},
        "items": {
            "unpivot": {"into": "side", "value": "reply", "columns": {"chosen": "chosen", "rejected": "rejected"}},
            "columns": {"item_id": "{@row}.{side}", "prompt": "prompt", "response": "reply"},
        },
    },
)  # fmt: skip
