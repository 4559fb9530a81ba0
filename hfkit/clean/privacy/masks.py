"""Masks over texts, columns and tables, and pseudonyms for ids that name a person."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata

import pandas as pd

from hfkit.clean.privacy import names, patterns
from hfkit.clean.privacy.patterns import normalised
from hfkit.shared import schema
from hfkit.shared.errors import ParamError

Parts = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Privacy:
    """How people are protected. `secret` gives the key for pseudonyms, called only where an id is personal data.

    `forgotten` has the digests of people who asked to be forgotten. `masks` names further finders of personal data (see
    finders). A group of fewer than `min_people` people is named, not numbered.
    """

    secret: Callable[[], bytes] | None = None
    masks: Sequence[str] = ()
    forgotten: frozenset[str] = frozenset()
    min_people: int = 5


Finder = Callable[[str], Sequence[tuple[int, int, str]]]
_IDS = ("item_id", "feedback_id", "comparison_id", "item_a", "item_b", "rater_id", "unit_id")
_CLOSED = (*_IDS, *schema.MADE, "rater_kind", "winner", "position", "consent", "component", "cohort")
_LONG = (*schema.TEXTS, "value")
_SURE = ("email", "url", "iban", "key")
_NAME = re.compile(r"[^\W\d_]{2,30}(?:[ ._,'’-]{1,2}[^\W\d_]{1,30}){0,3}[ ._,'’-]{1,2}[^\W\d_]{2,30}")


def finders(wanted: Sequence[str]) -> list[Finder]:
    """Further finders of personal data by name, from installed packages (entry points `hfkit.masks`; presidio is one).

    A finder takes a text and gives (from, to, kind) of what it finds. Raises ParamError for a name that nobody offers.
    """
    offered = {e.name: e for e in metadata.entry_points(group="hfkit.masks")}
    for name in wanted:
        if name not in offered:
            raise ParamError(
                expected=f"a finder of {', '.join(sorted(offered)) or 'none installed'}", found=repr(name),
                where="params.yaml: clean.masks", todo="install the package that offers it, or remove it",
            )  # fmt: skip
    return [offered[name].load() for name in wanted]


def mask(text: str, more: Sequence[Finder] = ()) -> tuple[str, Counter[str]]:
    """The text with personal data replaced by its kind, and how many of each kind.

    >>> mask("write to ann@example.org or +49 30 901820")
    ('write to [email] or [phone]', Counter({'email': 1, 'phone': 1}))
    >>> mask("v1.2.3 of 2026-01-05, 1 000 000 rows, room 101")[0]
    'v1.2.3 of 2026-01-05, 1 000 000 rows, room 101'
    """
    spans = list(patterns.find(text))
    for finder in (names.find, *more):
        spans += [s for s in finder(text) if all(s[1] <= t[0] or s[0] >= t[1] for t in spans)]
    return _replaced(text, spans)


def mask_code(text: str) -> tuple[str, Counter[str]]:
    """As `mask`, in a short code (an action, an arm, a question): only what is beyond doubt, so that codes stay apart.

    >>> mask_code("20260105-1234567")[0], mask_code("ask ann@example.org")[0]
    ('20260105-1234567', 'ask [email]')
    """
    return _replaced(text, [s for s in patterns.find(text) if s[2] in _SURE or "+" in text[s[0] : s[1]]])


def _replaced(text: str, spans: Sequence[tuple[int, int, str]]) -> tuple[str, Counter[str]]:
    if not spans:
        return text, Counter()
    out, counts = text, Counter[str]()
    for start, end, kind in sorted(spans, reverse=True):
        out = f"{out[:start]}[{kind}]{out[end:]}"
        counts[kind] += 1
    return out, Counter(dict(sorted(counts.items())))


def mask_column(
    values: pd.Series, masking: Callable[[str], tuple[str, Counter[str]]] = mask
) -> tuple[pd.Series, Counter[str]]:
    """A column with personal data masked, and how many of each kind (in rows, repeated texts counted again)."""
    masked = {v: masking(v) for v in values.dropna().unique() if isinstance(v, str)}
    changed = {v: (text, n) for v, (text, n) in masked.items() if n}
    total: Counter[str] = Counter()
    for v, rows in values[values.isin(list(changed))].value_counts().items():
        for kind, n in changed[v][1].items():
            total[kind] += n * int(rows)
    return values.map(lambda v: changed[v][0] if v in changed else v) if changed else values, total


def masked(tables: Parts, more: Sequence[Finder] = ()) -> tuple[Parts, Counter[str]]:
    """Every column in which people's words can stand, masked: texts and attributes wholly, codes as far as is sure."""
    total: Counter[str] = Counter()
    out = dict(tables)
    for name, frame in tables.items():
        for column in frame.columns:
            if column in _CLOSED or pd.api.types.is_numeric_dtype(frame[column]) or frame[column].dtype.kind == "M":
                continue
            free = column in _LONG or column.startswith(("cohort.", "feature."))
            values, counts = mask_column(frame[column], (lambda t: mask(t, more)) if free else mask_code)
            out[name] = out[name].assign(**{column: values})
            total += counts
    return out, total


def pseudonymised(parts: Parts, secret: Callable[[], bytes] | None) -> Parts:
    """Ids that are personal data become pseudonyms, the same in every table.

    An e-mail address, a phone number and, of a rater or a person served, what looks like a person's name (two words);
    names of models and programs (rater_kind) stay. Raises ParamError where there is such an id and no key.
    """
    programs = _programs(parts)
    personal: dict[str, set[str]] = {}
    for frame in parts.values():
        for column in (c for c in _IDS if c in frame):
            loose = column in ("rater_id", "unit_id")
            ids = {v for v in frame[column].dropna().unique() if names_a_person(v, loose=loose)} - programs
            personal["people" if loose else "records"] = personal.get("people" if loose else "records", set()) | ids
    if not any(personal.values()):
        return parts
    if secret is None:
        raise ParamError(
            expected="a secret key for pseudonyms", found="people named by e-mail, phone or name, and no key",
            where="room clean", todo="pass secret=tables.secret",
        )  # fmt: skip
    key = secret()
    new = {kind: {v: pseudonym(v, key) for v in ids} for kind, ids in personal.items()}
    return {n: _renamed(frame, new) for n, frame in parts.items()}


def _programs(parts: Parts) -> set[str]:
    """Raters that are models or programs in every answer, and not named by an address."""
    spoken = [
        parts[n][["rater_id", "rater_kind"]] for n in schema.ANSWERS if {"rater_kind", "rater_id"} <= set(parts[n])
    ]
    if not spoken:
        return set()
    raters = pd.concat(spoken).dropna()
    people = set(raters.loc[raters["rater_kind"] == "human", "rater_id"])
    return {r for r in raters["rater_id"].unique() if r not in people and not names_a_person(r, loose=False)}


def _renamed(frame: pd.DataFrame, new: dict[str, dict[str, str]]) -> pd.DataFrame:
    for column in (c for c in _IDS if c in frame):
        names_here = new.get("people" if column in ("rater_id", "unit_id") else "records", {})
        if names_here:
            frame = frame.assign(**{column: frame[column].map(lambda v, n=names_here: n.get(v, v))})
    return frame


def names_a_person(value: str, *, loose: bool = True) -> bool:
    """Is an identifier an e-mail address, a phone number, or a name? Not `loose`: does it contain one beyond doubt?

    A name is two words of letters: `Ann Smith`, `ann.smith`; one word alone is not taken for one.

    >>> names_a_person("ann@example.org"), names_a_person("+49 30 901820"), names_a_person("u17"), names_a_person("261")
    (True, True, False, False)
    >>> names_a_person("Ann Smith"), names_a_person("ann.smith"), names_a_person("annotator")
    (True, True, False)
    """
    flat = normalised(value)[0].strip()
    if loose and _NAME.fullmatch(flat):
        return True
    if "@" not in flat and "+" not in flat and (not loose or flat.isalpha() or len(flat) < 7):
        return False
    spans = patterns.find(flat)
    if loose:
        return "@" in flat or any(start == 0 and end == len(flat) for start, end, _ in spans)
    return any(kind == "email" or "+" in flat[start:end] for start, end, kind in spans)


def pseudonym(value: str, key: bytes) -> str:
    """The name by which a person is known here: HMAC-SHA-256 under a secret key, so that nobody else can test a guess.

    Upper and lower case and invisible characters make no difference, as they make none to an e-mail address.
    """
    flat = normalised(value)[0].strip().casefold()
    return "p" + hmac.new(key, flat.encode(), hashlib.sha256).hexdigest()[:24]
