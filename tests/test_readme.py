"""The README's ten lines work as they stand: its mapping reads the exports it describes."""

from __future__ import annotations

import json
import re
import sys

import pandas as pd
import pytest
import yaml
from conftest import ROOT

pytestmark = pytest.mark.loop


def test_bring_your_own_data(scratch):
    block = re.search(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
    section = yaml.safe_load(block[1])["clean"]
    scratch.params("clean", **section)
    raw = scratch.root / "data" / "raw"
    lines = ["trace_id,p_harmful,reply,lang", "a,0.9,some reply,en", "b,0.2,another reply,es", "c,0.7,a third,"]
    (raw / "outputs.csv").write_text("\n".join(lines) + "\n", "utf-8")
    thumbs = [
        {"id": f"f{i}", "trace_id": item, "user": {"id": f"u{i}"}, "rating": rating, "comment": comment,
         "ts": "2026-07-01T10:00:00Z", "consent": "research"}
        for i, (item, rating, comment) in enumerate(
            [("a", "up", "good"), ("b", "down", "write to me@example.org"), ("c", "sideways", ""), ("zzz", "up", "")]
        )
    ]  # fmt: skip
    (raw / "thumbs.jsonl").write_text("\n".join(map(json.dumps, thumbs)) + "\n", "utf-8")
    scratch(sys.executable, "-m", "hfkit.run", "clean")
    feedback = pd.read_parquet(scratch.root / "data" / "clean" / "feedback.parquet").set_index("feedback_id")
    rejects = pd.read_parquet(scratch.root / "data" / "clean" / "rejects.parquet")
    assert feedback["label"].tolist()[:2] == [1.0, 1.0]  # up agrees with acting at 0.9; down disagrees with passing 0.2
    assert feedback["label"].isna().tolist() == [False, False, True]  # "sideways" is not in the rubric: kept, no label
    assert "me@example.org" not in str(feedback["value_text"].tolist())
    assert rejects[["line", "reason"]].values.tolist() == [[4, "unknown_item"]]
