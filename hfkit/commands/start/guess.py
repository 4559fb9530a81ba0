"""What is in an export? A format, a role for each column, a level for each answer; and what the file does not say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pandas as pd

from hfkit import formats
from hfkit.formats import csv
from hfkit.formats.compressed import plain
from hfkit.shared.records import Records

_JSON = {  # keys that only one tool writes together
    "label_studio": {"annotations", "data"}, "label_studio_min": {"annotator", "annotation_id"},
    "argilla": {"fields", "responses"}, "langfuse": {"traceId", "dataType"}, "phoenix": {"span_id", "annotator_kind"},
    "mlflow": {"assessment_id", "name"}, "langsmith": {"run_id", "key"}, "open_webui": {"data", "meta", "snapshot"},
    "preference": {"chosen", "rejected"}, "thumbs": {"prompt", "completion", "label"}, "chat": {"messages"},
}  # fmt: skip
_PEOPLE = "worker|user|rater|annotator|panelist|respondent|participant|coder|judge|author"
_THINGS = "item|task|instance|example|question|document|doc|trace|message|reply|sample|session|run|span"
_ROLES = [  # (role, whole names, parts of names): the first that fits
    ("rater_id", rf"({_PEOPLE})(id|name)?", r"workerid|raterid|userid|annotatorid"),
    ("item_id", rf"({_THINGS})(id)?|unitid", r"itemid|taskid|instanceid|traceid|messageid|sessionid|questionid"),
    ("feedback_id", r"(id|feedbackid|responseid|assignmentid|answerid|annotationid|ratingid|scoreid)", r""),
    ("created_at", r"(created|submitted|recorded|answered)?(at|on|time|date|timestamp)?|ts|date",
     r"createdat|submittime|timestamp|recordeddate"),
    ("seconds_spent", r"seconds|sec|duration|leadtime|worktimeinseconds|secondsspent|durationinseconds", r""),
    ("consent", r"consent(scope)?|scope|optin", r"consent"),
    ("model_version", r"model(id|version|name)?|version", r""),
    ("gold", r"gold|truth|correct|goldlabel|expected|reference", r""),
    ("propensity", r"propensity|propensityscore|pscore", r""),
    ("action", r"action", r""), ("context", r"position|context", r""), ("reward", r"reward|click", r""),
    ("value", r"label|rating|vote|thumb|thumbs|score|stars|answer|verdict|value|response|grade", r"offensive|rating"),
]  # fmt: skip
_COHORTS = re.compile(r"gender|sex|age(band|group)?|race|ethnicity|education|occupation|country|region|language|locale|"
                      r"religion|politics|hispanic|nationality")  # fmt: skip
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d|$)|\d{1,2}/\d{1,2}/\d{4}|\w{3} \w{3} \d\d \d\d:")
LIKERT = 11


@dataclass
class Column:
    """One column as it looks: its role ("" where nothing fits), and what its values are."""

    name: str
    role: str
    values: pd.Series
    numeric: bool

    @property
    def distinct(self) -> int:
        """How many different values."""
        return int(self.values.nunique())


@dataclass
class File:
    """One export as it looks; `asks` are questions that only a person can answer."""

    path: str
    format: str
    options: dict[str, str]
    records: Records
    columns: dict[str, Column] = field(default_factory=dict)
    asks: list[str] = field(default_factory=list)

    def of(self, role: str) -> list[str]:
        """The columns of a role, in the order of the file."""
        return [c.name for c in self.columns.values() if c.role == role]


def look(path: str, data: bytes) -> File:
    """The file with a format and a role for each column. Raises UnknownFormat where no format reads it."""
    format, options = _format(path, data)
    records = formats.below_header(formats.read(data, format, source=path, **options))
    file = File(path, format, options, records)
    names = [str(c) for c in records.frame.columns]
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            file.asks.append(f"{path}: several columns are called {name!r}; none of them is used")
        elif name:
            file.columns[name] = _column(name, records.frame[name])
    if records.rejects:
        file.asks.append(f"{path}: {len(records.rejects)} records cannot be read, the first is record "
                         f"{records.rejects[0][0]} ({records.rejects[0][1].replace('_', ' ')})")  # fmt: skip
    return file


def _format(path: str, data: bytes) -> tuple[str, dict[str, str]]:
    if data.startswith(b"PAR1"):
        return "parquet", {}
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        return "xlsx", {}
    body = plain(data, path).removeprefix(b"\xef\xbb\xbf")
    start = body.lstrip()[:1]
    if start in (b"[", b"{"):
        return _json(body, start), {}
    header = body.split(b"\n", 1)[0].decode("utf-8", "replace")
    delimiter = max(csv.DELIMITERS, key=header.count)
    names = set(csv.Grammar(delimiter).split(header.rstrip("\r")))
    if delimiter != ",":
        return "csv", {"delimiter": delimiter}
    if '{""ImportId""' in body[:100_000].decode("utf-8", "replace") or {"ResponseId", "Finished"} <= names:
        return "qualtrics", {}
    if "WorkerId" in names and any(n.startswith("Answer.") for n in names):
        return "mturk", {}
    if {"annotator", "annotation_id"} <= names:
        return "label_studio_min", {}
    if {"traceId", "name", "dataType"} <= names:
        return "langfuse", {}
    return ("google_forms" if header.startswith(("Timestamp,", '"Timestamp",')) else "csv"), {}


def _json(body: bytes, start: bytes) -> str:
    lines = start == b"{" and b"\n{" in body.strip()
    try:
        first = orjson.loads(body.lstrip().split(b"\n", 1)[0] if lines else body)
    except orjson.JSONDecodeError:
        return "jsonl"
    if isinstance(first, dict) and not lines:
        first = next((v for v in first.values() if isinstance(v, list)), first)
    record = first[0] if isinstance(first, list) and first else first
    keys = set(record) if isinstance(record, dict) else set()
    named = next((n for n, wanted in _JSON.items() if wanted <= keys), None)
    return named or ("jsonl" if lines or (start == b"{" and isinstance(first, dict)) else "json")


def _column(name: str, cells: pd.Series) -> Column:
    values = cells.map(lambda v: None if v is None or v == "" or isinstance(v, list | tuple) else str(v)).dropna()
    number = pd.to_numeric(values, errors="coerce")
    numeric = bool(len(values)) and bool(number.notna().all())
    return Column(name, _role(name, values, numeric), values, numeric)


def _role(name: str, values: pd.Series, numeric: bool) -> str:
    plain_name = re.sub(r"[^a-z]", "", name.lower())
    if not len(values):
        return "empty"
    for role, whole, part in _ROLES:
        if re.fullmatch(whole, plain_name) or (part and re.search(part, plain_name)):
            return _checked(role, values, numeric)
    if _COHORTS.fullmatch(plain_name) or (_COHORTS.search(plain_name) and values.nunique() <= 30):
        return "cohort"
    if values.head(50).map(lambda v: bool(_TIME.match(v))).mean() > 0.9:
        return "created_at"
    if not numeric and values.str.len().mean() > 25 and values.str.count(" ").mean() > 2:
        return "text"
    number = pd.to_numeric(values, errors="coerce")
    if numeric and re.search(r"prob|confidence|score", name.lower()) and number.between(0, 1).all():
        return "score"
    counted = re.search(
        r"(^|_)(num|n|order|index|count|position|seq|sequence|prompt|batch|block|fold|split|seed)(_|$)|id$",
        name.lower(),
    )
    steps = numeric and bool((number % 1 == 0).all()) and 2 <= values.nunique() <= LIKERT and len(values) > 20
    return "scale" if steps and not counted else ""


def _checked(role: str, values: pd.Series, numeric: bool) -> str:
    """A name says much, the values have the last word."""
    number = pd.to_numeric(values, errors="coerce")
    if role == "created_at" and not numeric and values.head(50).map(lambda v: bool(_TIME.match(v))).mean() < 0.9:
        return ""
    if role == "seconds_spent" and not numeric:
        return ""
    if role == "value" and numeric and values.nunique() > 101 and number.between(0, 1).all():
        return "score"
    if role == "value" and not numeric and values.str.len().mean() > 40:
        return "text"
    wordy = not numeric and values.str.count(" ").mean() > 4
    return "text" if role == "item_id" and wordy else role


def overlap(one: File, first: str, other: File, second: str) -> float:
    """Which share of a column's values stands in another file's column?"""
    values = set(one.columns[first].values)
    return len(values & set(other.columns[second].values)) / max(len(values), 1)


def constant_within(file: File, key: str, names: Sequence[str]) -> list[str]:
    """The columns that say the same in all records of one key: they describe the person or the item."""
    frame = file.records.frame
    counts = frame.groupby(key, sort=False)[list(names)].nunique() if names else pd.DataFrame()
    return [n for n in names if (counts[n] <= 1).mean() >= 0.99]


def usual(name: str, table: str) -> Mapping[str, Any]:
    """What a format's exports need not be told."""
    return formats.FORMATS[name].usual.get(table, {})
