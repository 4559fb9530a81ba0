# ruff: noqa: E501 - one example a line
"""Personal data: rates on a planted set and on an outside corpus, disguises one by one, every text column, ids."""

import json
import random
from pathlib import Path

import pandas as pd
import pytest

from hfkit.clean import privacy
from hfkit.clean.privacy import masks, names, patterns
from hfkit.shared import schema
from hfkit.shared.errors import ParamError

CORPUS = Path(__file__).parents[2] / "shared" / "corpora" / "pii" / "synth_dataset_v2.json"
STRUCTURED = {"PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "US_SSN", "IP_ADDRESS", "EMAIL_ADDRESS"}
PERSONAL = STRUCTURED | {"STREET_ADDRESS", "ZIP_CODE", "US_DRIVER_LICENSE", "PERSON", "DOMAIN_NAME"}

KINDS = {
    "email": ["ann@example.org", "j.doe+x@mail.example.co.uk", '"ann smith"@example.org', "o'neil@example.ie"],
    "phone": ["+49 30 901820", "(415) 555-0132", "020 7946 0958", "+1-415-555-0132 x12", "0171 5550132"],
    "card": ["4111 1111 1111 1111", "5500005555555559", "3714-496353-98431", "4111.1111.1111.1111"],
    "iban": ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "GB82-WEST-1234-5698-7654-32"],
    "ip": ["203.0.113.7", "2001:db8::ff00:42:8329"], "ssn": ["078-05-1120"],
    "key": ["sk-" + "aB3" * 8, "ghp_" + "x9Z" * 12, "AKIAIOSFODNN7EXAMPLE", "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSM"],
    "url": ["https://ann:pass@example.org/x"],
}  # fmt: skip
DISGUISES = [
    ("as it is", lambda s: s),
    ("Arabic-Indic digits", lambda s: s.translate({48 + d: 0x660 + d for d in range(10)})),
    ("Devanagari digits", lambda s: s.translate({48 + d: 0x966 + d for d in range(10)})),
    ("full width", lambda s: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in s)),
    ("zero width", "\u200b".join), ("%40", lambda s: s.replace("@", "%40")), ("&#64;", lambda s: s.replace("@", "&#64;")),
    ("&#x40;", lambda s: s.replace("@", "&#x40;")), ("blanks around @", lambda s: s.replace("@", " @ ")),
]  # fmt: skip
SENTENCES = ["write to {} please", "My contact: {}.", "{} is mine, call me", "({})", "old one was {}, thanks"]
NEGATIVES = [
    "order 66 shipped on 2026-01-05 10:00", "1 000 000 people saw it", "pi is 3.14159265358979", "ratio 16:9 at 10:30:15",
    "the war of 1914-1918", "version v10.2.1 of 2024-2025", "12/31/2025 was a Wednesday", "it cost $1,234,567 in 2019",
    "50-60 % of 1234567 items", "ISBN 978-3-16", "std::vector of a@b", "room 101, floor 3", "RFC 4180, section 2",
    "call 911 at once", "look at this, it is great", "meet me @ work. bye", "page 12-14 and 20-22", "3 of 5 stars",
    "error 0x7fff5fbff8c8 in line 1024", "latitude 52.5200, longitude 13.4050", "in 1999, 2001 and 2007",
    "I am happy with the way it works", "the dot on the map", "sk-learn and hf_hub are libraries", "GB 12 is no account",
]  # fmt: skip


def planted():
    """Sentences with one piece of personal data each: text, from, to, and how it is disguised."""
    chance = random.Random(3)
    for kind, examples in KINDS.items():
        for example in examples:
            for name, disguise in DISGUISES:
                if "@" not in example and ("@" in name or "%" in name or "&" in name):
                    continue
                if kind == "key" and name != "as it is":
                    continue  # a key that is written otherwise opens nothing
                if example.startswith('"') and name.startswith(("%", "&")):
                    continue  # out of scope: two disguises at once
                before, after = chance.choice(SENTENCES).split("{}")
                value = disguise(example)
                yield before + value + after, len(before), len(before) + len(value), (kind, name)


def test_recall_and_precision_on_a_planted_set():
    rows = list(planted())
    assert len(rows) > 100
    missed = [(how, text) for text, start, end, how in rows
              if not any(s <= start + 1 and end - 1 <= e for s, e, _ in patterns.find(text))]  # fmt: skip
    spans = sum(len(patterns.find(text)) for text, *_ in rows)
    wrong = [(text, patterns.find(text)) for text in NEGATIVES * 4 if patterns.find(text)]
    recall, precision = 1 - len(missed) / len(rows), spans / (spans + sum(len(s) for _, s in wrong))
    print(f"planted: {len(rows)} pieces, recall {recall:.3f}, precision {precision:.3f}")
    assert recall >= 0.98, missed
    assert precision >= 0.95, wrong


def test_recall_and_precision_on_an_outside_corpus():
    if not CORPUS.exists():
        pytest.skip("corpora/pii is absent")
    hits = total = right = masked = 0
    for record in json.loads(CORPUS.read_text("utf-8")):
        spans = patterns.find(record["full_text"])
        gold = [(s["start_position"], s["end_position"], s["entity_type"]) for s in record["spans"]]
        wanted = [(a, b) for a, b, kind in gold if kind in STRUCTURED]
        hits += sum(any(s <= a and b <= e for s, e, _ in spans) for a, b in wanted)
        total, masked = total + len(wanted), masked + len(spans)
        right += sum(any(s < b and a < e and kind in PERSONAL for a, b, kind in gold) for s, e, _ in spans)
    print(f"corpus: {total} pieces, recall {hits / total:.3f}; {masked} masks, precision {right / masked:.3f}")
    assert hits / total >= 0.98
    assert right / masked >= 0.95


def test_names_and_addresses_by_rule_are_few_but_right():
    if not CORPUS.exists():
        pytest.skip("corpora/pii is absent")
    for kind, label, least in (("name", "PERSON", 0.08), ("address", "STREET_ADDRESS", 0.15)):
        hits = total = right = masked = 0
        for record in json.loads(CORPUS.read_text("utf-8")):
            spans = [s for s in names.find(record["full_text"]) if s[2] == kind]
            gold = [(s["start_position"], s["end_position"], s["entity_type"]) for s in record["spans"]]
            wanted = [(a, b) for a, b, k in gold if k == label]
            hits += sum(any(s < b and a < e for s, e, _ in spans) for a, b in wanted)
            total, masked = total + len(wanted), masked + len(spans)
            right += sum(any(s < b and a < e for a, b, k in gold if k in (label, "GPE", "TITLE")) for s, e, _ in spans)
        print(f"{kind}: recall {hits / total:.3f} of {total}, precision {right / masked:.3f} of {masked}")
        assert hits / total >= least
        assert right / masked >= 0.95


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("ann at example dot org", "[email]"), ("ANN AT EXAMPLE DOT COM!", "[email]!"), ("ann [at] example [dot] org", "[email]"),
        ("ann @ example . org", "[email]"), ("Dear Ann Smith, thanks", "Dear [name], thanks"), ("Mr. Jones said", "Mr. [name] said"),
        ("ich heiße Jörg Müller.", "ich heiße [name]."), ("me llamo Ana", "me llamo [name]"),
        ("Kind regards,\nAnn Smith", "Kind regards,\n[name]"), ("at 12 Baker Street, London NW1 6XE.", "at [address]."),
        ("Hauptstraße 12, 10115 Berlin", "[address]"), ("12 rue de Rivoli, 75001 Paris", "[address]"), ("Dear Team, thanks", "Dear Team, thanks"),
    ],
)  # fmt: skip
def test_one_by_one(text, masked):
    assert privacy.mask(text)[0] == masked


def test_every_text_column_is_masked_and_short_codes_stay_apart():
    for table in (schema.ITEMS, schema.FEEDBACK, schema.COMPARISONS, schema.POLICY):
        free = [c.name for c in table.columns if c.type == "str" and not c.values and c.name not in masks._CLOSED]
        assert free
        frame = pd.DataFrame({name: ["mail ann@example.org", "x"] for name in free})
        out = privacy.masked({table.name: frame})[0][table.name]
        assert (out.iloc[0] == "mail [email]").all(), table.name
    codes = pd.DataFrame({"action": ["4155550132", "4155550133"], "arm": ["20260105-1234567", "b"]})
    assert privacy.masked({"items": codes})[0]["items"].equals(codes)


def test_ids_that_are_names_become_pseudonyms_but_not_those_of_programs():
    feedback = pd.DataFrame({"rater_id": ["Ann Smith", "ann.smith", "spam check", "u7", None, "ann@x.org"],
                             "rater_kind": ["human", "human", "code", "human", "human", "model"]})  # fmt: skip
    raters = pd.DataFrame({"rater_id": ["Ann Smith", "spam check", "u7"]})
    parts = {"feedback": feedback, "raters": raters, "comparisons": pd.DataFrame()}
    out = privacy.pseudonymised(parts, lambda: b"k" * 32)
    ids = out["feedback"]["rater_id"]
    assert [str(i)[0] == "p" and len(str(i)) == 25 for i in ids] == [True, True, False, False, False, True]
    assert out["raters"]["rater_id"].tolist() == [ids[0], "spam check", "u7"]
    with pytest.raises(ParamError, match="a secret key"):
        privacy.pseudonymised(parts, None)


def test_a_further_finder_is_asked_where_it_is_named(monkeypatch):
    class Entry:
        name = "towns"

        def load(self):
            return lambda text: [(text.index("Berlin"), text.index("Berlin") + 6, "town")] if "Berlin" in text else []

    monkeypatch.setattr(masks.metadata, "entry_points", lambda group: [Entry()] if group == "hfkit.masks" else [])
    more = privacy.finders(["towns"])
    assert privacy.mask("from Berlin, ann@x.org", more)[0] == "from [town], [email]"
    with pytest.raises(ParamError, match="a finder of towns"):
        privacy.finders(["presido"])


def test_presidio_is_offered_and_says_what_it_needs():
    finder = privacy.finders(["presidio"])[0]
    try:
        import presidio_analyzer  # noqa: F401
    except ImportError:
        with pytest.raises(ParamError, match="presidio-analyzer"):
            finder("Ann lives in Berlin")
