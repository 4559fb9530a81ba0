"""From how exports look to a first `clean:` section: tables, mapping, levels, rubric, and questions for a person."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from hfkit.clean import mapping, questions
from hfkit.clean.settings import Rubric
from hfkit.commands.start.guess import LIKERT, File, constant_within, overlap, usual

_YES = {"yes", "up", "true", "good", "positive", "1", "correct", "helpful", "accept", "like"}
_NO = {
    "no",
    "down",
    "false",
    "bad",
    "negative",
    "0",
    "-1",
    "incorrect",
    "unhelpful",
    "thumbs_down",
    "reject",
    "dislike",
}
_TIMES = [
    (r"\d{4}-\d\d-\d\d(T|\s)\d\d:\d\d:\d\d.*(Z|[+-]\d\d:\d\d)|\d{4}-\d\d-\d\d", None),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?", "iso"),
    (r"1[0-9]{9}(\.\d+)?", "epoch"), (r"1[0-9]{12}", "epoch_ms"),
]  # fmt: skip
Entry = dict[str, Any]


def section(files: Sequence[File]) -> tuple[Entry, list[str]]:
    """The `clean:` section, and what a person must say or look at before it may be used."""
    asks = [ask for file in files for ask in file.asks]
    sources: list[Entry] = []
    rubric: dict[str, Entry] = {}
    for file in files:
        made, own = _sources(file, files)
        sources += made
        asks += own
        for entry in _rubric(file, made, asks):
            rubric.setdefault(entry["question"], entry)
    for file in files:
        sources += _alone(file, sources)
    for table, why in (("items", "what the model did"), ("feedback", "what people answered")):
        if not any(s["table"] == table for s in sources):
            asks.append(f"no file looks like {table} ({why}): name it, or map it from one of these files")
    asks.append("components: what event does the score predict, from which threshold on does the model act, and what "
                "does each kind of mistake cost? Written: .5, and 1 point each")  # fmt: skip
    asks.append("consent: no words are declared, so nothing is used until you say under clean.consent or "
                "clean.assume_consent what people agreed to")  # fmt: skip
    component = {"component": "model", "event": "ASK: the event that the score predicts", "threshold": 0.5,
                 "cost_false_alarm": 1.0, "cost_miss": 1.0, "effort_days": 1.0}  # fmt: skip
    return {"run_date": "", "consent": {}, "assume_consent": False, "sources": sources, "components": [component],
            "rubric": list(rubric.values())}, asks  # fmt: skip


def _sources(file: File, files: Sequence[File]) -> tuple[list[Entry], list[str]]:
    """The sources that read one file, and what it leaves open."""
    asks: list[str] = []
    base: Entry = {"path": file.path, "format": file.format, **file.options}
    own = [t for t in ("items", "feedback", "comparisons") if usual(file.format, t)]
    if "comparisons" in own or "value" in usual(file.format, "feedback").get("columns", {}):
        return [_usual(file, base, t, asks) for t in own], asks
    if {"cohort", "group", "share"} <= set(file.columns):
        columns = {c: c for c in ("cohort", "group", "share")}
        return [{"name": _name(file, "population"), "table": "population", **base, "columns": columns}], asks
    rater, item = (_one(file, role, files, asks) for role in ("rater_id", "item_id"))
    if not rater and not item and file.of("text") and file.of("feedback_id"):
        item = file.of("feedback_id")[0]
    scales = [c for c in [*file.of("value"), *file.of("scale")] if not _logged(file)]
    out: list[Entry] = []
    if rater and scales:
        out.append(_feedback(file, base, rater, item, scales, asks))
    if item and (not rater or not scales or _describing(file, item)):
        out.append(_items(file, base, item, asks, distinct=bool(rater)))
    cohorts = constant_within(file, rater, file.of("cohort")) if rater else []
    if rater and (cohorts or (file.of("consent") and not scales)):
        columns = {"rater_id": rater, **{f"cohort.{_plain(c)}": c for c in cohorts}}
        columns |= {"consent": file.of("consent")[0]} if file.of("consent") and not scales else {}
        out.append({"name": _name(file, "raters"), "table": "raters", **base, "distinct": True, "columns": columns})
    used = {slot for s in out for spec in s["columns"].values() for slot in mapping.named(spec)}
    used |= {c for s in out for c in s.get("unpivot", {}).get("columns", {})}
    left = [c for c in file.columns if c not in used]
    if not out:
        asks.append(f"{file.path}: neither people who answer nor items are seen among {_listed(list(file.columns))}; "
                    "it is not used")  # fmt: skip
    elif left:
        asks.append(f"{file.path}: not mapped: {_listed(left)}")
    if file.of("gold") and out:
        asks.append(f"{file.path}: {file.of('gold')[0]} looks like right answers that are known: no rater gave them")
    return out, asks


def _usual(file: File, base: Entry, table: str, asks: list[str]) -> Entry:
    """A source of a format whose exports are always so."""
    entry = {"name": _name(file, table), "table": table, **base, **_copied(usual(file.format, table))}
    if table == "feedback" and "item_id" not in entry["columns"]:
        entry["columns"]["item_id"] = "@row"
        asks.append(f"{file.path}: which of {_listed([c for c in file.columns if c.startswith(('Input.', 'data.'))])} "
                    "says which item an answer is about? Until you say, each is about an item of its own")  # fmt: skip
    if table == "items":
        entry["columns"].setdefault("component", "=model")
    return entry


def _alone(file: File, sources: Sequence[Entry]) -> list[Entry]:
    """Items made of the answers about them, where no file describes items."""
    answers = next((s for s in sources if s["table"] == "feedback" and s["path"] == file.path), None)
    item = answers["columns"].get("item_id") if answers else None
    if answers is None or item is None or any(s["table"] == "items" for s in sources):
        return []
    base: Entry = {k: answers[k] for k in ("path", "format", "delimiter", "sheet") if k in answers}
    columns = {"item_id": item, "component": "=model"}
    return [{"name": _name(file, "items"), "table": "items", **base, "distinct": True, "columns": columns}]


def _one(file: File, role: str, files: Sequence[File], asks: list[str]) -> str:
    """The column of a role; of several the one whose values other files share most, and a question."""
    names = file.of(role)
    if len(names) < 2:
        return names[0] if names else ""
    others = [f for f in files if f is not file and f.of(role)]

    def shared(name: str) -> float:
        """How well does it join the other files?"""
        return max((overlap(file, name, f, n) for f in others for n in f.of(role)), default=0.0)

    best = max(names, key=lambda n: (shared(n), file.columns[n].distinct))
    asks.append(f"{file.path}: {', '.join(names)} could all be the {role}; {best} is taken")
    return best


def _logged(file: File) -> bool:
    return bool(file.of("propensity"))


def _describing(file: File, item: str) -> list[str]:
    """Columns that say something of the item itself, the same in all its records."""
    names = [*file.of("text"), *file.of("score"), *file.of("propensity"), *file.of("model_version")]
    return constant_within(file, item, names)


def _feedback(file: File, base: Entry, rater: str, item: str, scales: list[str], asks: list[str]) -> Entry:
    entry: Entry = {"name": _name(file, "answers"), "table": "feedback", **base}
    if not item:
        asks.append(
            f"{file.path}: no column says which item an answer is about; every record is taken for its own item"
        )
    keys = file.of("feedback_id")
    unique = next((k for k in keys if file.columns[k].values.is_unique), "")
    columns = {"feedback_id": unique or f"{_name(file, 'row')}-{{@row}}", "item_id": item or "@row", "rater_id": rater}
    if len(scales) == 1:
        columns |= {"question": f"={_plain(scales[0])}", "value": scales[0]}
    else:
        row = f"{{{unique}}}" if unique else columns["feedback_id"]
        columns["feedback_id"] = f"{row}-{{asked}}"
        columns |= {"question": "asked", "value": "answered"}
        entry["unpivot"] = {"into": "asked", "value": "answered", "columns": {c: _plain(c) for c in scales}}
    for role in ("seconds_spent", "created_at"):
        if file.of(role):
            columns[role] = file.of(role)[0]
    if file.of("consent"):
        columns["consent_scope"] = file.of("consent")[0]
    if "created_at" in columns:
        _timed(file, columns["created_at"], entry, asks)
    return entry | {"columns": columns}


def _items(file: File, base: Entry, item: str, asks: list[str], *, distinct: bool) -> Entry:
    columns = {"item_id": item, "component": "=model"}
    names = _describing(file, item) if distinct else list(file.columns)
    if _logged(file) and not file.columns[item].values.is_unique:
        columns = {"item_id": "@row", "component": "=model", "action": item}
        asks.append(f"{file.path}: a log of decisions: {item} is taken for the action, every record for an item")
    for role in ("text", "score", "propensity", "action", "context", "reward", "model_version"):
        mine = [n for n in file.of(role) if n in names]
        columns |= {role: mine[0]} if mine else {}
    if not distinct:
        columns |= {f"cohort.{_plain(c)}": c for c in file.of("cohort")}
    distinct = distinct or (columns["item_id"] == item and not file.columns[item].values.is_unique)
    entry: Entry = {"name": _name(file, "items"), "table": "items", **base}
    if file.of("created_at") and not distinct:
        columns["served_at"] = file.of("created_at")[0]
        _timed(file, columns["served_at"], entry, asks)
    return entry | ({"distinct": True} if distinct else {}) | {"columns": columns}


def _timed(file: File, name: str, entry: Entry, asks: list[str]) -> None:
    values = file.columns[name].values.head(200)
    for pattern, format in _TIMES:
        if values.map(lambda v, p=pattern: bool(re.fullmatch(p, v))).all():
            if format:
                entry["time"] = {"format": format, "zone": "UTC"}
                asks.append(f"{file.path}: times in {name} are read as {format} in UTC: is that the zone?")
            return
    asks.append(f"{file.path}: how are times in {name} written ({values.iloc[0]!r})? Declare time: {{format, zone}}; "
                "until then they are rejected")  # fmt: skip


def _rubric(file: File, sources: Sequence[Entry], asks: list[str]) -> list[Entry]:
    """What each question's answers mean, where words or a scale say so; otherwise a question."""
    out = []
    for source in (s for s in sources if s["table"] == "feedback" and "value" in s["columns"]):
        value, question = source["columns"]["value"], source["columns"]["question"]
        if "unpivot" in source:
            asked = source["unpivot"]["columns"]
            out += [_entry(file, column, file.columns[column].values, name, asks) for column, name in asked.items()]
        elif question.startswith("="):
            out.append(_entry(file, value, _cells(file, value), question[1:], asks))
        else:
            names = file.records.frame[question].astype(str)
            out += [_entry(file, value, own, str(name), asks) for name, own in _cells(file, value).groupby(names)]
    return out


def _cells(file: File, name: str) -> pd.Series:
    """The answers of one column as text, also of one that a format made."""
    return file.records.frame[name].dropna().map(str)


def _entry(file: File, column: str, values: pd.Series, question: str, asks: list[str]) -> Entry:
    distinct = sorted(values.unique(), key=lambda v: (len(v), v))
    entry: Entry = {"question": question, "component": "model", "states": "truth"}
    yes, no = ([v for v in distinct if v.lower() in words] for words in (_YES, _NO))
    number = pd.to_numeric(values, errors="coerce")
    classes = bool(re.fullmatch(r"label|class|category|type", _plain(column)))
    scale = bool(number.notna().all()) and 2 < number.nunique() <= 101 and not classes
    if len(distinct) <= 3 and yes and no:
        entry |= {"positive": yes, "negative": no}
        asks.append(f"{file.path}: does {'/'.join(yes)} to {question} mean that the event holds? Does it state the "
                    "truth, or judge the model's answer (states: agreement)?")  # fmt: skip
    elif scale and number.min() >= -1 and number.max() <= 100 and _runs(number):
        low, high = float(number.min()), float(number.max())
        third = (high - low) / 3
        entry |= {"positive": {"at_least": round(high - third, 6)}, "negative": {"at_most": round(low + third, 6)},
                  "range": [low, high]}  # fmt: skip
        asks.append(f"{file.path}: {question} is taken for a scale from {low:g} to {high:g}: are those its ends, and "
                    "from where on does the event hold? (Numbers that name classes: list them instead)")  # fmt: skip
    else:
        entry |= {"positive": [], "negative": []}
        asks.append(f"{file.path}: which answers to {question} mean that the event holds? Seen: {_listed(distinct)}")
    return entry | {"level": questions.proposed(values.astype("object"), Rubric.model_validate(entry))}


def _runs(number: pd.Series) -> bool:
    """Whole steps without great gaps, or a slider: a scale rather than names of classes."""
    steps = number.nunique()
    return bool(steps >= LIKERT or (number.max() - number.min() + 1) <= 2 * steps)


def _copied(keys: Any) -> Entry:
    return {k: dict(v) if isinstance(v, dict) else v for k, v in keys.items()}


def _name(file: File, what_for: str) -> str:
    stem = re.sub(r"[^A-Za-z0-9_]+", "_", PurePosixPath(file.path).name.split(".")[0]).strip("_")[:40]
    return f"{stem}_{what_for}"


def _plain(name: str) -> str:
    short = re.sub(r"\W+", "_", name).strip("_").lower()
    return short[:60] or "question"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:8])) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
