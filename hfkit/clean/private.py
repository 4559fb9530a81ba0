"""Personal data in free text is masked before anything is written: e-mail, phone, card, IBAN, IP, SSN, URL with login.

Matching is done on a normalised copy (NFKC, invisible characters and combining marks removed), so that full-width or
zero-width disguises do not help; the mask is put into the text as written. Unsure is masked. Names and postal addresses
are not found: that needs a language model. Every pattern is bounded, so no text can stall a run.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import unicodedata
from collections import Counter
from collections.abc import Callable

import pandas as pd
import phonenumbers

_IBAN = dict(re.findall(r"([A-Z]{2})(\d\d)", (
    "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28EE20EG29ES24FI18FO18FR27GB22GE22GI23GL18GR27"
    "GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21MC27MD24ME22MK19MR27MT31MU30NL18NO15PK24PL28"
    "PS29PT25QA29RO24RS22SA24SC31SE24SI19SK24SM27ST25SV28TL23TN24TR26UA29VA22VG24XK20"
)))  # fmt: skip
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"


def _card(text: str) -> bool:
    """Luhn's check digit; 13 to 19 digits, or 12 (Maestro)."""
    digits = [int(c) for c in text if c.isdigit()]
    doubled = [d * 2 - 9 * (d > 4) for d in digits[-2::-2]]
    return len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _iban(text: str) -> bool:
    """The length of its country, and the ISO 7064 check digits where it is written with blanks."""
    compact = text.replace(" ", "").upper()
    if _IBAN.get(compact[:2]) != str(len(compact)):
        return False
    if " " not in text:
        return True
    return int("".join(str(int(c, 36)) for c in compact[4:] + compact[:4])) % 97 == 1


def _ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6 and any(c.isdigit() for c in text)
    except ValueError:
        return False


_DATE = re.compile(
    r"(?:1[89]|20)[0-9]{2}[-./ ][01]?[0-9][-./ ][0-3]?[0-9](?:[ -].*)?"
    r"|[0-3]?[0-9][-./ ][0-3]?[0-9][-./ ](?:1[89]|20)[0-9]{2}"
    r"|(?:1[5-9]|20)[0-9]{2} ?[-–/] ?(?:1[5-9]|20)[0-9]{2}|[0-9]{1,3}(?:[ .]000){1,4}|[0-9]+\.[0-9]+"
)


def _phone(text: str) -> bool:
    """A number with +, brackets or groups, 7 to 15 digits, no date; bare digits only where they are a valid number."""
    digits = "".join(c for c in text if c.isdigit())
    if _DATE.fullmatch(text):
        return False
    if text.startswith(("+", "00", "(")):
        return 7 <= len(digits) <= 18
    if not text.isdigit():
        return _grouped(text)
    return (text[0] == "0" and len(text) > 8) or any(_valid(text, r) for r in ("US", "GB", "DE", "FR", "ES", "IN"))


def _grouped(text: str) -> bool:
    """Groups of digits as phone numbers are written: none above 8 digits, one separator throughout or an extension."""
    groups = re.findall(r"[0-9]+", re.split(r"x|ext", text)[0])
    total = sum(map(len, groups))
    return 7 <= total <= 15 and max(map(len, groups)) <= 8 and max(map(len, groups[1:]), default=0) >= 2


def _valid(text: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(text, region))
    except phonenumbers.NumberParseException:
        return False


_ALWAYS: Callable[[str], bool] = lambda text: True  # noqa: E731
_NOT_IN = r"(?<![A-Za-z0-9])"
_PATTERNS: list[tuple[str, str, re.Pattern[str], Callable[[str], bool]]] = [
    (":/", "url", re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/@]{1,128}@[^\s]{1,200}"), _ALWAYS),
    ("@", "email", re.compile(r"[\w.%+'-]{1,64}@(?:[\w-]{1,63}\.){1,8}[\w-]{2,63}"), _ALWAYS),
    ("at", "email", re.compile(r"[\w.%+-]{1,64} {0,2}[\[(] ?at ?[\])] {0,2}[\w-]{1,63}"
                               r"(?: {0,2}[\[(] ?dot ?[\])] {0,2}[\w-]{1,63}|\.[\w-]{1,63}){1,8}", re.I), _ALWAYS),
    ("", "iban", re.compile(_NOT_IN + r"[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,3})?"
                            r"(?![A-Za-z0-9])"), _iban),
    ("", "card", re.compile(_NOT_IN + r"[0-9](?:[ -]?[0-9]){11,18}(?![A-Za-z0-9])"), _card),
    (".", "ip", re.compile(rf"(?<![\w.]){_OCTET}(?:\.{_OCTET}){{3}}(?![\w]|\.[0-9])"), _ALWAYS),
    (":", "ip", re.compile(r"(?<![\w:])[0-9A-Fa-f:]{3,39}(?![\w:])"), _ipv6),
    ("", "ssn", re.compile(r"(?<![0-9-])[0-9]{3}([- ])[0-9]{2}\1[0-9]{4}(?![0-9-])"), _ALWAYS),
    ("", "phone", re.compile(r"(?<![\w$€£#-])(?<![0-9][.,/])(?:\+ ?|\()?(?:[0-9](?:[ ./()-]{0,3})){6,17}[0-9]"
                             r"(?: ?(?:x|ext\.?) ?[0-9]{1,6})?(?![\w%€]|[.,:/-][0-9])"), _phone),
]  # fmt: skip


def mask(text: str) -> tuple[str, Counter[str]]:
    """The text with personal data replaced by its kind, and how many of each kind.

    >>> mask("write to ann@example.org or +49 30 901820")
    ('write to [email] or [phone]', Counter({'email': 1, 'phone': 1}))
    >>> mask("v1.2.3 of 2026-01-05, 1 000 000 rows, room 101")[0]
    'v1.2.3 of 2026-01-05, 1 000 000 rows, room 101'
    """
    out, counts = text, Counter[str]()
    for start, end, kind in reversed(find(text)):
        out = f"{out[:start]}[{kind}]{out[end:]}"
        counts[kind] += 1
    return out, Counter(dict(sorted(counts.items())))


def find(text: str) -> list[tuple[int, int, str]]:
    """Where is personal data, from, to and of which kind? In the order of the text, never overlapping.

    >>> find("a@b.org")
    [(0, 7, 'email')]
    """
    flat, at = normalised(text)
    spans: list[tuple[int, int, str]] = []
    if any(c in "@([:" or c.isdigit() for c in flat):
        for needs, kind, pattern, really in _PATTERNS:
            if needs in flat:
                spans += _spans(flat, kind, pattern, really, spans)
    return sorted((at[start], at[end - 1] + 1, kind) for start, end, kind in spans)


def _spans(
    flat: str, kind: str, pattern: re.Pattern[str], really: Callable[[str], bool], taken: list[tuple[int, int, str]]
) -> list[tuple[int, int, str]]:
    spans = ((m.start(), m.end(), kind) for m in pattern.finditer(flat) if really(m[0]))
    return [s for s in spans if all(s[1] <= t[0] or s[0] >= t[1] for t in taken)]


def normalised(text: str) -> tuple[str, list[int] | range]:
    """The text as it is matched, and where each of its characters stands in the text as written."""
    if text.isascii():
        return text, range(len(text))
    chars, at = [], []
    for i, c in enumerate(text):
        if unicodedata.category(c) in ("Cf", "Mn"):
            continue
        for n in unicodedata.normalize("NFKC", c):
            chars.append(_DASHES.get(n, n))
            at.append(i)
    return "".join(chars), at


_DASHES = dict.fromkeys("‐‑‒–—−", "-")


def mask_column(values: pd.Series) -> tuple[pd.Series, Counter[str]]:
    """A column with personal data masked, and how many of each kind (in rows, repeated texts counted again)."""
    masked = {v: mask(v) for v in values.dropna().unique() if isinstance(v, str)}
    changed = {v: (text, n) for v, (text, n) in masked.items() if n}
    total: Counter[str] = Counter()
    for v, rows in values[values.isin(list(changed))].value_counts().items():
        for kind, n in changed[v][1].items():
            total[kind] += n * int(rows)
    return values.map(lambda v: changed[v][0] if v in changed else v) if changed else values, total


def names_a_person(value: str, *, loose: bool = True) -> bool:
    """Is an identifier an e-mail address or a phone number? Not `loose`: does it contain one beyond doubt?

    >>> names_a_person("ann@example.org"), names_a_person("+49 30 901820"), names_a_person("u17"), names_a_person("261")
    (True, True, False, False)
    """
    flat = normalised(value)[0].strip()
    if "@" not in flat and "+" not in flat and (not loose or flat.isalpha() or len(flat) < 7):
        return False
    spans = find(flat)
    if loose:
        return "@" in flat or any(start == 0 and end == len(flat) for start, end, _ in spans)
    return any(kind == "email" or "+" in flat[start:end] for start, end, kind in spans)


def pseudonym(value: str, key: bytes) -> str:
    """The name by which a person is known here: HMAC-SHA-256 under a secret key, so that nobody else can test a guess.

    Upper and lower case and invisible characters make no difference, as they make none to an e-mail address.
    """
    flat = normalised(value)[0].strip().casefold()
    return "p" + hmac.new(key, flat.encode(), hashlib.sha256).hexdigest()[:24]
