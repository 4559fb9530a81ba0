"""Consent: who agreed to what, in declared words only. Everything else is no consent, and is listed."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from hfkit.clean.ledger import Ledger
from hfkit.clean.privacy import mask, names_a_person, normalised
from hfkit.shared import schema
from hfkit.shared.errors import ParamError

PURPOSES = ("training", "evaluation", "publication")
WITHDRAWN = ("withdrawn", "false")
_OWN = {**{p: frozenset({p}) for p in PURPOSES}, **dict.fromkeys(("granted", "true"), frozenset(PURPOSES[:2]))}
_NUMBER = re.compile(r"0*([0-9]+)(?:\.0+)?")
Parts = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Consent:
    """Which words grant which purposes, and the purposes that are assumed where nobody says anything."""

    words: Mapping[str, frozenset[str]]
    assumed: frozenset[str]


@dataclass(frozen=True)
class Refused:
    """What a person must look at: `words` (column, word, records) that nobody declared, and withdrawals (`withdrawal`,
    nearest) that reached no answer.
    """

    words: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["column", "word", "records"]))
    unreached: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["withdrawal", "nearest"]))


def declared(words: Mapping[str, Sequence[str]], assumed: bool | Sequence[str] = False) -> Consent:
    """The accepted words by purpose (training, evaluation, publication), and the purposes that are assumed.

    Without a declaration a purpose's own name grants it, and `granted` or `true` grant training and evaluation.
    `assumed` True stands for training and evaluation; publication must be named. Raises ParamError.

    Words are compared as they are written, but for blanks around them.

    >>> sorted(declared({"publication": ["All uses "]}).words["All uses"])
    ['publication']
    """
    accepted = {w: set(p) for w, p in _OWN.items()}
    for purpose, given in words.items():
        _purpose(purpose, "consent")
        if not isinstance(given, list) or not all(isinstance(w, str) and w.strip() for w in given):
            raise _wrong(
                f"a list of words under {purpose}", repr(given)[:80], "consent", "write for example [research]"
            )
        for word in map(str.strip, given):
            if word.casefold() in WITHDRAWN:
                raise _wrong("words that agree", repr(word), "consent", "remove it: it takes the agreement back")
            accepted.setdefault(word, set()).add(purpose)
    purposes = list(PURPOSES[:2]) if assumed is True else [] if assumed is False else list(assumed)
    for purpose in purposes:
        _purpose(purpose, "assume_consent")
    return Consent({w: frozenset(p) for w, p in accepted.items()}, frozenset(purposes))


def _purpose(purpose: object, key: str) -> None:
    if purpose not in PURPOSES:
        raise _wrong(f"purposes of {', '.join(PURPOSES)}", repr(purpose), key, "name one of them")


def _wrong(expected: str, found: str, key: str, todo: str) -> ParamError:
    return ParamError(expected=expected, found=found, where=f"params.yaml: clean.{key}", todo=todo)


def folded(text: str) -> str:
    """An id without regard to case, blanks and invisible characters."""
    return " ".join(normalised(unicodedata.normalize("NFC", text))[0].casefold().split())


def person(text: str) -> str:
    """An id without what its spellings differ in here: case, blanks, mailto:, leading zeros, a trailing .0.

    >>> person(" 00101 "), person("101.0"), person("mailto:Ann@x.org")
    ('101', '101', 'ann@x.org')
    """
    plain = folded(text).removeprefix("mailto:").replace(" ", "")
    number = _NUMBER.fullmatch(plain)
    return number[1] if number else plain


def applied(
    parts: Parts, ledger: Ledger, rule: Consent, erased: Callable[[str], bool] = lambda name: False
) -> tuple[Parts, Refused]:
    """Who may be used, and for what? Runs before any other rule, on the values as written.

    A withdrawal reaches all answers of the person under every spelling of the id (`withdrawn`). A word that nobody
    declared, in an answer's consent_scope or a rater's consent, takes out the answer with every other record of it, or
    all of that rater's answers (`no_consent`). An answer's own scope goes before what its rater stated, that before
    what is assumed; nothing at all is no consent. `erased` says who asked to be forgotten: as a withdrawal, and with
    the items that were served to them. Answers get `for_training`, `for_evaluation`, `for_publication`.
    """
    raters, feedback = parts["raters"], _spoken(parts)
    stated, scope = (_texts(f, c, str.strip) for f, c in ((raters, "consent"), (feedback, "consent_scope")))
    who, author = (_texts(f, "rater_id", person) for f in (raters, feedback))
    gone, back = (words.str.casefold().isin(WITHDRAWN) for words in (stated.astype("str"), scope.astype("str")))
    names = set(who.dropna()) | set(author.dropna())
    lost = {name for name in names if erased(name)}
    unclear = stated.notna() & ~gone & ~stated.isin(rule.words)
    for reason, bad in (("withdrawn", gone), ("no_consent", unclear)):
        people = set(who[bad].dropna()) | (lost if reason == "withdrawn" else set())
        ledger.reject(raters, bad | who.isin(people), reason, "consent")
        ledger.reject(feedback, author.isin(people), reason, "consent")
    answer = _texts(feedback, "_answer", str)
    unheard = scope.notna() & ~scope.isin(rule.words)
    for reason, bad in (("withdrawn", back), ("no_consent", unheard)):
        ledger.reject(feedback, bad | answer.isin(set(answer[bad].dropna())), reason, "consent_scope")
    purposes = _purposes(rule, scope, _exact(feedback), _exact(raters), stated)
    ledger.reject(feedback, [not p & set(PURPOSES[:2]) for p in purposes], "no_consent", "consent_scope")
    flags = {f"for_{p}": ["1" if p in given else "0" for given in purposes] for p in PURPOSES}
    if not rule.assumed:
        agreed = stated.isin(rule.words) | who.isin(set(author[[bool(p) for p in purposes]].dropna()))
        ledger.reject(raters, ~agreed, "no_consent", "consent")
    words = pd.concat([_words(raters, "consent", unclear), _words(feedback, "consent_scope", unheard & ~back)])
    refused = Refused(words.reset_index(drop=True), _unreached(raters[gone], who[gone], feedback, author))
    raters = raters.assign(consent=stated.where(stated.isna(), "granted")) if "consent" in raters else raters
    heard = ledger.keep(feedback.assign(**flags))
    by_table = {n: heard[heard["_table"] == n][[*parts[n].columns, *flags]] for n in schema.ANSWERS}
    kept = {"raters": ledger.keep(raters)} | by_table
    return parts | kept | {n: _unserved(parts[n], ledger, erased) for n in ("items",) if n in parts}, refused


def _unserved(items: pd.DataFrame, ledger: Ledger, erased: Callable[[str], bool]) -> pd.DataFrame:
    if "unit_id" in items:
        unit = _texts(items, "unit_id", person)
        ledger.reject(items, unit.isin([u for u in unit.dropna().unique() if erased(u)]), "withdrawn", "unit_id")
    return ledger.keep(items)


def _spoken(parts: Parts) -> pd.DataFrame:
    """All that raters said, answers and comparisons, under each other; `_answer` identifies each."""
    frames = [
        parts[n].assign(_table=n, _answer=n + " " + parts[n][schema.TABLES[n].key[0]].astype("object"))
        for n in schema.ANSWERS
    ]
    return pd.concat(frames, ignore_index=True)


def _texts(frame: pd.DataFrame, name: str, form: object) -> pd.Series:
    values = frame[name] if name in frame else pd.Series(None, index=frame.index, dtype="object")
    return values.map({v: form(v) for v in values.dropna().unique()})  # type: ignore[operator]


def _exact(frame: pd.DataFrame) -> pd.Series:
    """To grant, the id must be the same but for case and blanks: a looser match would use somebody else's answers."""
    return _texts(frame, "rater_id", folded)


def _purposes(
    rule: Consent, scope: pd.Series, author: pd.Series, who: pd.Series, stated: pd.Series
) -> list[frozenset[str]]:
    """What each answer may be used for; a rater who stated several things agreed to what all of them grant."""
    by_rater: dict[object, frozenset[str]] = {}
    for name, word in zip(who, stated, strict=True):
        if isinstance(name, str) and word in rule.words:
            by_rater[name] = by_rater.get(name, frozenset(PURPOSES)) & rule.words[word]
    return [
        rule.words.get(s, frozenset()) if isinstance(s, str) else by_rater.get(a, rule.assumed)
        for s, a in zip(scope, author, strict=True)
    ]


def _words(frame: pd.DataFrame, name: str, bad: pd.Series) -> pd.DataFrame:
    written = frame.loc[bad.to_numpy(bool), name] if name in frame else pd.Series(dtype="object")
    counts = written.map(lambda v: mask(str(v))[0][:60]).value_counts().sort_index()
    return pd.DataFrame({"column": name, "word": counts.index.astype(str), "records": counts.to_numpy()})


def _unreached(gone: pd.DataFrame, who: pd.Series, feedback: pd.DataFrame, author: pd.Series) -> pd.DataFrame:
    """Withdrawals that match nobody who answered, with the ids that look most like them; personal ids are not shown."""
    ids = dict(zip(author.dropna(), _texts(feedback, "rater_id", str)[author.notna()], strict=True))
    lost = {str(w) if isinstance(w, str) else "": w for w in who if not isinstance(w, str) or w not in ids}
    rows = []
    for name in sorted(lost):
        near = difflib.get_close_matches(name, list(ids), n=3, cutoff=0.6) if name else []
        rows.append([_shown(name) or "without an id", ", ".join(_shown(ids[n]) for n in near)])
    return pd.DataFrame(rows, columns=["withdrawal", "nearest"])


def _shown(text: str) -> str:
    return "(a personal address)" if names_a_person(text, loose=True) else mask(text)[0]
