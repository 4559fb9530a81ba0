"""The sample world as it would really arrive: one export a channel, each in its own format, broken records included."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson
import pandas as pd

from hfkit.commands.sample import vocabulary as v
from hfkit.commands.sample.planted import BROKEN, Built, agreed, policy, population

CHUNK = 50_000
ITEMS = ["item_id", "component", "served_at", "text", "score", "latency_ms", "error", "cohort.language",
         "cohort.age_band", "feature.length", "feature.gap", "feature.tenure"]  # fmt: skip
PROMISED = {"log loss (candidate)": ("lower", 0.7), "AUC (candidate)": ("higher", 0.7)}

Row = dict[str, Any]


def write(b: Built, folder: Path) -> None:
    """All exports below `folder`, in pieces, so that a large world does not have to fit in memory twice."""
    for name in ("feedback", "items", "raters", "population", "logs", "signoffs", "releases"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name in ("signoffs", "releases"):
        (folder / name / ".gitkeep").write_bytes(b"")
    whole = b.items[ITEMS].astype({"latency_ms": "int64", "feature.length": "int64", "feature.tenure": "int64"})
    _csv(folder / "items" / "items.csv", whole)
    tried = b.items.loc[b.items["arm"].notna(), ["item_id", "arm", "reward"]]
    _csv(folder / "logs" / "experiment.csv", tried.astype({"reward": "int64"}))
    logged = b.items.loc[b.items["action"].notna(), ["item_id", "context", "action", "propensity", "reward"]]
    _csv(folder / "logs" / "decisions.csv", logged.astype({"reward": "int64"}))
    _csv(folder / "logs" / "policy.csv", policy())
    _csv(folder / "raters" / "raters.csv", b.raters[[c for c in b.raters if not c.startswith("_")]])
    _csv(folder / "population" / "population.csv", population())
    (folder / "releases" / "v0.json").write_bytes(_release())
    to = folder / "feedback"
    _lines(to / "thumbs.jsonl", b, "thumbs", _thumb)
    _survey(to / "survey.csv", b)
    _lines(to / "chat.jsonl", b, "chat", _chat)
    _lines(to / "tool_log.jsonl.gz", b, "tool_log", _tool)
    _label_studio(to / "annotation.json", b)


def _release() -> bytes:
    promises = [
        {"measure": m, "component": p.name, "group": "all", "promised": at, "better": better}
        for p in v.PARTS
        for m, (better, at) in PROMISED.items()
    ]
    record = {"release": "v0", "date": "2026-01-05", "promises": promises}
    return orjson.dumps(record, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _csv(file: Path, frame: pd.DataFrame) -> None:
    """Every cell quoted only where it must be; times as RFC 3339."""
    with file.open("w", encoding="utf-8", newline="") as out:
        for at in range(0, len(frame), CHUNK):
            part = frame.iloc[at : at + CHUNK]
            if "served_at" in part:
                part = part.assign(served_at=_stamp(part["served_at"]))
            part.to_csv(out, index=False, header=at == 0, lineterminator="\n")


def _stamp(at: pd.Series) -> pd.Series:
    return at.dt.strftime("%Y-%m-%dT%H:%M:%SZ")


def _records(b: Built, channel: str) -> Iterator[Row]:
    """The answers of one channel, then those sent twice and those with a planted fault, as the rater gave them."""
    rows = b.answers[b.answers["channel"] == channel]
    for at in range(0, len(rows), CHUNK):
        yield from _plain(b, rows.iloc[at : at + CHUNK])
    if channel == "thumbs":
        yield from _plain(b, b.answers.loc[b.twins])
        for row in _plain(b, b.answers.loc[b.conflicts]):
            yield row | {"value": "down" if row["value"] == "up" else "up"}
    faults = {"not_a_time": {"at": "2026-02-30T09:00:00Z"}, "future": {"at": "2027-01-01T09:00:00Z"},
              "unknown_item": {"item_id": "x0001"}, "out_of_range": {"value": "9"}}  # fmt: skip
    for reason, n in BROKEN[channel].items():
        if reason in faults:
            for k, row in enumerate(_plain(b, rows[agreed(b.raters, rows)].head(n)), 1):
                yield row | {"feedback_id": f"{row['feedback_id'][0]}-{reason}-{k}"} | faults[reason]


def _plain(b: Built, rows: pd.DataFrame) -> Iterator[Row]:
    text = [
        "" if t is None or t != t else t if s is None else t + v.SECRETS[s[0]].format(s[1])
        for t, s in zip(rows["value_text"], rows["_secret"], strict=True)
    ]
    columns = {
        "feedback_id": rows["feedback_id"], "item_id": rows["item_id"], "rater_id": rows["rater_id"],
        "value": rows["value"], "text": text, "at": _stamp(rows["created_at"]),
        "seconds": rows["seconds_spent"].fillna(0).astype("int64"), "scope": rows["consent_scope"],
        "noun": b.items["_noun"].to_numpy()[rows["_item"]],
    }  # fmt: skip
    for values in zip(*(list(c) for c in columns.values()), strict=True):
        yield dict(zip(columns, values, strict=True))


def _thumb(r: Row) -> Row:
    comment = {"comment": r["text"]} if r["text"] else {}
    return {"id": r["feedback_id"], "user": r["rater_id"], "reply": r["item_id"], "thumb": r["value"], **comment,
            "at": r["at"], "sec": r["seconds"], "scope": r["scope"]}  # fmt: skip


def _chat(r: Row) -> Row:
    turns = [("user", f"help: {r['noun']}"), ("assistant", "Done."), ("user", r["text"])]
    return {"id": r["feedback_id"], "user": r["rater_id"], "reply": r["item_id"],
            "messages": [{"role": who, "content": text} for who, text in turns],
            "solved": r["value"], "at": r["at"], "scope": r["scope"]}  # fmt: skip


def _tool(r: Row) -> Row:
    return {"id": r["feedback_id"], "tool": r["rater_id"], "reply": r["item_id"], "verdict": r["value"], "at": r["at"],
            "scope": r["scope"]}  # fmt: skip


def _lines(file: Path, b: Built, channel: str, record: Callable[[Row], Row]) -> None:
    """JSON lines; gzip where the name ends in .gz (without a name or a time in its header)."""
    with file.open("wb") as plain:
        out = gzip.GzipFile("", "wb", 9, plain, mtime=0) if file.suffix == ".gz" else plain
        for row in _records(b, channel):
            out.write(orjson.dumps(record(row), option=orjson.OPT_APPEND_NEWLINE))
        for _ in range(BROKEN[channel].get("not_json", 0)):
            out.write(b'{"id":"t-cut","user":"r10\n')
        out.close()


def _survey(file: Path, b: Built) -> None:
    """CSV, every cell quoted."""
    with file.open("w", encoding="utf-8", newline="") as out:
        sheet = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
        sheet.writerow(["response", "panelist", "reply", "submitted", "satisfied", "remarks", "seconds", "scope"])
        keys = ["feedback_id", "rater_id", "item_id", "at", "value", "text", "seconds", "scope"]
        sheet.writerows([row[k] for k in keys] for row in _records(b, "survey"))
        sheet.writerows(["s-short", "r1001"] for _ in range(BROKEN["survey"]["field_count"]))


def _label_studio(file: Path, b: Built) -> None:
    """Label Studio's JSON export: a list of tasks; annotators as numbers; the first tasks were also skipped once."""
    chosen = b.answers[b.answers["channel"] == "annotation"].sort_values("item_id", kind="stable")
    text = b.items.set_index("item_id")["text"]
    with file.open("wb") as out:
        out.write(b"[")
        for number, (item, rows) in enumerate(groupby(_plain(b, chosen), key=lambda r: str(r["item_id"])), 1):
            done = [_annotation(r, number) for r in rows]
            if number <= BROKEN["annotation"]["skipped"]:
                done.append(done[0] | {"id": 900_000_000 + number, "result": [], "was_cancelled": True})
            task = {"id": number, "data": {"item_id": item, "text": text[item], "scope": "train"}, "annotations": done}
            out.write((b",\n" if number > 1 else b"\n") + orjson.dumps(task))
        out.write(b"\n]\n")


def _annotation(r: Row, task: int) -> Row:
    number = int(r["feedback_id"][1:])
    result = {"id": f"e{number}", "type": "choices", "from_name": "event_holds", "to_name": "text", "origin": "manual",
              "value": {"choices": [r["value"]]}}  # fmt: skip
    return {"id": number, "completed_by": int(r["rater_id"][1:]), "result": [result], "was_cancelled": False,
            "ground_truth": False, "created_at": r["at"], "updated_at": r["at"], "lead_time": r["seconds"],
            "task": task}  # fmt: skip
