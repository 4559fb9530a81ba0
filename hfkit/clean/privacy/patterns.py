"""Where is personal data in a text? E-mail, phone, card, IBAN, IP, SSN, URL with login, secret keys.

Matching is done on a normalised copy (NFKC, invisible characters and combining marks removed, all digits as 0 to 9,
an encoded @ or point decoded), so that such disguises do not help; the mask is put into the text as written. Unsure is
masked. Names and addresses are in names.py. Every pattern is bounded, so no text can stall a run. Out of scope: an
address spelled out with a bare `at` and a point (`look at example.org` reads the same), and look-alike letters.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable

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
    compact = text.replace(" ", "").replace("-", "").upper()
    if _IBAN.get(compact[:2]) != str(len(compact)):
        return False
    if compact == text.upper():
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
    ("@", "email", re.compile(r"(?:[\w.%+'-]{1,64}|\"[^\"\n]{1,64}\") {0,2}@ {0,2}(?:[\w-]{1,63}(?:\.| \. )){1,8}"
                              r"[\w-]{2,63}"), _ALWAYS),
    ("at", "email", re.compile(r"[\w.%+-]{1,64} {0,2}[\[(] ?at ?[\])] {0,2}[\w-]{1,63}"
                               r"(?: {0,2}[\[(] ?dot ?[\])] {0,2}[\w-]{1,63}|\.[\w-]{1,63}){1,8}", re.I), _ALWAYS),
    (" dot ", "email", re.compile(
        r"(?<!\w)[\w.+-]{1,64} at [\w-]{1,63}(?: dot [\w-]{2,63}){1,4}(?!\w)", re.I), _ALWAYS),
    ("", "key", re.compile(
        r"(?<![\w-])(?:sk-[\w-]{20,200}|gh[opsur]_\w{30,100}|github_pat_\w{22,200}|xox[abprs]-[\w-]{10,200}|"
        r"glpat-[\w-]{20,100}|hf_\w{30,100}|AKIA[0-9A-Z]{16}|AIza[\w-]{35}|eyJ[\w-]{8,2000}\.[\w-]{8,4000}(?:\.[\w-]{8,2000})?)(?![\w-])"
    ), _ALWAYS),
    ("", "iban", re.compile(_NOT_IN + r"[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]{4}){2,7}(?:[ -]?[A-Za-z0-9]{1,3})?"
                            r"(?![A-Za-z0-9])"), _iban),
    ("", "card", re.compile(_NOT_IN + r"[0-9](?:[ -]?[0-9]){11,18}(?![A-Za-z0-9])"), _card),
    (".", "card", re.compile(_NOT_IN + r"[0-9]{4}(?:\.[0-9]{4}){2}\.[0-9]{1,7}(?![A-Za-z0-9])"), _card),
    (".", "ip", re.compile(rf"(?<![\w.]){_OCTET}(?:\.{_OCTET}){{3}}(?![\w]|\.[0-9])"), _ALWAYS),
    (":", "ip", re.compile(r"(?<![\w:])[0-9A-Fa-f:]{3,39}(?![\w:])"), _ipv6),
    ("", "ssn", re.compile(r"(?<![0-9-])[0-9]{3}([- ])[0-9]{2}\1[0-9]{4}(?![0-9-])"), _ALWAYS),
    ("", "phone", re.compile(r"(?<![\w$€£#-])(?<![0-9][.,/])(?:\+ ?|\()?(?:[0-9](?:[ ./()-]{0,3})){6,17}[0-9]"
                             r"(?: ?(?:x|ext\.?) ?[0-9]{1,6})?(?![\w%€]|[.,:/-][0-9])"), _phone),
]  # fmt: skip


_HINT = re.compile(r"[@(\[:0-9]| dot |sk-|xox|akia|aiza|eyj|gh[opsur]_|github_|glpat|hf_")


def find(text: str) -> list[tuple[int, int, str]]:
    """Where is personal data, from, to and of which kind? In the order of the text, never overlapping.

    >>> find("a@b.org"), find("ann %40 x.org")
    ([(0, 7, 'email')], [(0, 13, 'email')])
    """
    flat, at = normalised(text)
    spans: list[tuple[int, int, str]] = []
    lower = flat.lower()
    if _HINT.search(lower):
        for needs, kind, pattern, really in _PATTERNS:
            if needs in lower:
                spans += _spans(flat, kind, pattern, really, spans)
    return sorted((at[start], at[end - 1] + 1, kind) for start, end, kind in spans)


def _spans(
    flat: str, kind: str, pattern: re.Pattern[str], really: Callable[[str], bool], taken: list[tuple[int, int, str]]
) -> list[tuple[int, int, str]]:
    spans = ((m.start(), m.end(), kind) for m in pattern.finditer(flat) if really(m[0]))
    return [s for s in spans if all(s[1] <= t[0] or s[0] >= t[1] for t in taken)]


def normalised(text: str) -> tuple[str, list[int] | range]:
    """The text as it is matched, and where each of its characters stands in the text as written."""
    if text.isascii() and not _ENCODED.search(text):
        return text, range(len(text))
    chars, at = [], []
    for i, c in enumerate(text):
        if unicodedata.category(c) in ("Cf", "Mn"):
            continue
        for n in unicodedata.normalize("NFKC", c):
            digit = unicodedata.digit(n, None) if not n.isascii() else None
            chars.append(_DASHES.get(n, n) if digit is None else str(digit))
            at.append(i)
    flat = "".join(chars)
    for m in reversed(list(_ENCODED.finditer(flat))):
        flat = f"{flat[: m.start()]}{'@' if m[1] else '.'}{flat[m.end() :]}"
        del at[m.start() + 1 : m.end()]
    return flat, at


_ENCODED = re.compile(r"(%40|&#0{0,4}64;|&#x0{0,4}40;|&commat;)|(?:%2e|&#0{0,4}46;|&#x0{0,4}2e;|&period;)", re.I)
_DASHES = dict.fromkeys("‐‑‒–—−", "-")
