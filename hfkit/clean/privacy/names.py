"""People's names and postal addresses, as far as fixed rules go; no language model, so most names are not found.

A name is found after a title (Mr., Frau, Mme, Sra.), where somebody says it (`my name is`, `ich heiße`), and where a
letter opens or ends with one (`Dear Ann`, `Kind regards, Ann Smith`). An address is found by its street: a house number
and a word such as Street, or Straße, rue, calle; with what follows of town and post code. docs/privacy.md gives the
rates as run.
"""

from __future__ import annotations

import re

_WORD = r"[A-ZÀ-ÖØ-Þ][\w'’-]{1,30}"
_NAME = rf"{_WORD}(?: (?:{_WORD}|[A-Z]\.|van|von|de|da|del|der|la)){{0,3}}"
_NOBODY = (r"(?!(?:Team|Sir|Madam|Sirs|All|Customer|Customers|Support|Friend|Friends|Colleagues|God|Lord|Diary|"
           r"Hiring)\b)")  # fmt: skip
_NAMES = [
    rf"\b(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Herr|Frau|Monsieur|Madame|Mme|Mlle|Señora?|Sra?|Dott|Sig)"
    rf"(?:\.(?= )|(?= )) ?({_NAME})",
    rf"\b(?:[Mm]y name is|[Mm]y name['’]s|[Ii] am called|[Mm]ein Name ist|[Ii]ch hei(?:ß|ss)e|[Jj]e m['’]appelle|"
    rf"[Mm]e llamo|[Mm]i nombre es|[Mm]i chiamo|[Mm]eu nome é) ({_NAME})",
    rf"\b[Dd]ear {_NOBODY}({_NAME})(?=,)",
    rf"\b(?:[Rr]egards|[Ss]incerely|[Cc]heers|[Gg]rüßen?|[Cc]ordialement|[Ss]aludos),?\s{{1,3}}{_NOBODY}({_NAME})(?=\s*$)",
]
_TOWN = r"(?:,?\s{1,3}(?:\d{4,6} )?[A-ZÀ-Þ][^\W\d_]{1,30}(?!\w)(?:[ '’.-]{1,2}[A-ZÀ-Þ][^\W\d_]{1,30}(?!\w)){0,2})?"
_CODE = r"(?:,?\s{1,3}(?:[A-Z]{2} )?\d{4,5}(?:-\d{4})?|,?\s{1,3}[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2})?"
_STREETS = (r"Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Square|Sq|Way|Place|Pl|Terrace|"
            r"Close|Crescent|Highway|Hwy|Parkway|Pkwy")  # fmt: skip
_ADDRESSES = [
    rf"\b\d{{1,5}}[A-Za-z]? (?:{_WORD} ){{1,4}}(?:{_STREETS})\b\.?"
    rf"(?:,? (?:Apt|Suite|Unit|Flat|#)\.? ?\w{{1,6}})?{_TOWN}{_CODE}",
    rf"\b(?:{_WORD}[ -])?[A-ZÄÖÜa-zäöüß][\w-]{{1,30}}(?:straße|strasse|str\.|weg|platz|allee|gasse|straat|gatan)"
    rf" \d{{1,4}}[a-z]?\b{_TOWN}",
    rf"\b\d{{1,4}}(?: bis)?,? (?:rue|avenue|boulevard|place|chemin|quai) (?:d[eu]s? |de la |de l['’]|l['’])?{_NAME}"
    rf"(?:,?\s{{1,3}}\d{{5}} {_WORD})?",
    rf"\b(?:[Cc]alle|[Aa]venida|[Pp]laza|[Vv]ia|[Rr]ua) (?:del? |la |los )?{_NAME},? (?:n[.º°] ?)?\d{{1,4}}\b{_TOWN}",
    r"\bP\.? ?O\.? Box \d{1,6}",
]
_RULES = [(re.compile(p, re.M), "name") for p in _NAMES] + [(re.compile(p), "address") for p in _ADDRESSES]

_HINT = re.compile(r"[A-ZÀ-ÖØ-Þ]")  # a name, a town or a box has a capital letter


def find(text: str) -> list[tuple[int, int, str]]:
    """Names and addresses by rule: from, to and kind, in the order of the text, never overlapping.

    >>> find("My name is Ann Smith."), find("12 Baker Street, London"), find("Happy with Street View")
    ([(11, 20, 'name')], [(0, 23, 'address')], [])
    """
    spans: list[tuple[int, int, str]] = []
    if not _HINT.search(text):
        return spans
    for pattern, kind in _RULES:
        for m in pattern.finditer(text):
            start, end = m.span(1) if pattern.groups else m.span()
            if all(end <= s or start >= e for s, e, _ in spans):
                spans.append((start, end, kind))
    return sorted(spans)
