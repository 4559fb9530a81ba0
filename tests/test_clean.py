"""Clean: hand arithmetic, published figures of real data, a pack of bad inputs, laws under corruption."""

import csv as stdlib_csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hfkit import clean, formats
from hfkit.clean import consent, privacy
from hfkit.clean.ledger import Ledger
from hfkit.clean.privacy import patterns
from hfkit.shared import schema, tables
from hfkit.shared.errors import BadValue, HfkitError, MissingColumn, NothingLeft, ParamError
from hfkit.shared.records import Records

SHARED = Path(__file__).parents[2] / "shared"
ROOT = Path(__file__).parents[1]
KEY = b"k" * 32

COMPONENTS = [
    {
        "component": "safety",
        "event": "harm",
        "threshold": 0.5,
        "cost_false_alarm": 1.0,
        "cost_miss": 5.0,
        "effort_days": 5.0,
    },
    {
        "component": "search",
        "event": "miss",
        "threshold": 0.4,
        "cost_false_alarm": 1.0,
        "cost_miss": 1.0,
        "effort_days": 2.0,
    },
]
RUBRIC = [
    {"question": "thumb", "component": "item", "states": "agreement", "positive": ["up"], "negative": ["down"]},
    {
        "question": "stars",
        "component": "safety",
        "states": "truth",
        "positive": {"at_most": 2.0},
        "negative": {"at_least": 4.0},
        "range": [1.0, 5.0],
    },
]
ITEM = {"item_id": "id", "component": "part", "score": "score"}
ANSWER = {
    "feedback_id": "id",
    "item_id": "item",
    "rater_id": "user",
    "question": "q",
    "value": "v",
    "value_text": "t",
    "created_at": "at",
}
ASSUMED = clean.consented({}, True)
ITEMS = [["i1", "safety", "0.9"], ["i2", "safety", "0.1"], ["i3", "search", "0.45"]]


def csv_bytes(header, lines):
    text = "\n".join(",".join('"' + str(c).replace('"', '""') + '"' for c in line) for line in [header, *lines])
    return (text + "\n").encode()


def source(name, table, columns, **more):
    return {"name": name, "table": table, "path": f"{name}.csv", "format": "csv", "columns": columns, **more}


def run(files, sources, **more):
    records = [formats.read(files[s["name"]], s["format"], source=s["name"]) for s in sources]
    given = {"components": COMPONENTS, "rubric": RUBRIC, "run_date": "2026-07-06", "consent": ASSUMED} | more
    return clean.clean(records, sources=sources, private=clean.Privacy(secret=lambda: KEY), **given)


def small(answers, raters=None, items=ITEMS, **more):
    """Three items and the given answers: id, item, user, q, v, t, at (right-padded)."""
    full = [[*a, *["", "", "", "", "", "", ""][len(a) :]] for a in answers]
    files = {
        "log": csv_bytes(["id", "part", "score"], items),
        "votes": csv_bytes(["id", "item", "user", "q", "v", "t", "at"], full),
    }
    sources = [source("log", "items", ITEM), source("votes", "feedback", ANSWER)]
    if raters is not None:
        files["people"] = csv_bytes(["user", "consent", "age"], raters)
        sources.append(source("people", "raters", {"rater_id": "user", "consent": "consent", "cohort.age": "age"}))
    return run(files, sources, **more)


GOOD = ["f0", "i1", "u0", "thumb", "up"]


def why(cleaned, name="votes"):
    r = cleaned.rejects
    return [(int(n), reason) for n, reason in r.loc[r["source"] == name, ["line", "reason"]].itertuples(index=False)]


def test_the_meaning_of_answers_by_hand():
    made = small(
        [
            ["a", "i1", "u", "thumb", "up"],  # decision 1 (0.9 >= 0.5), right: event
            ["b", "i1", "u", "thumb", "down"],  # decision 1, wrong: no event
            ["c", "i2", "u", "thumb", "up"],  # decision 0, right: no event
            ["d", "i3", "u", "thumb", "down"],  # decision 1 (0.45 >= 0.4), wrong: no event
            ["e", "i3", "u", "stars", "1"],  # about safety, whatever the item: event
            ["f", "i3", "u", "stars", "3"],  # between: no label
            ["g", "i3", "u", "mood", "fine"],  # no rubric: no label, the item's component
        ]
    )
    got = made.feedback.set_index("feedback_id")[["component", "label"]]
    assert got["label"].tolist()[:5] == [1, 0, 0, 0, 1]
    assert got["label"].isna().tolist()[5:] == [True, True]
    assert got["component"].tolist() == ["safety", "safety", "safety", "search", "safety", "safety", "search"]
    assert made.items["decision"].tolist() == [1, 0, 1]
    assert made.unlabelled == {"mood": 1}
    evidence = clean.evidence(made).set_index("measure")
    assert evidence.loc["answers without a rubric", "value"] == 1
    assert evidence.loc["share of answers with a label", "value"] == pytest.approx(5 / 7)


def test_duplicates_conflicts_and_strangers():
    made = small(
        [
            ["a", "i1", "u", "thumb", "up"],
            ["a", "i1", "u", "thumb", "up"],  # 1 stays, 2 is a duplicate
            ["b", "i1", "u", "thumb", "up"],
            ["b", "i1", "u", "thumb", "down"],  # contradict: both out
            ["c", "i9", "u", "thumb", "up"],
            ["", "i1", "u", "thumb", "up"],  # no such item, no id
            ["\u00e9", "i1", "u", "thumb", "up"],
            ["e\u0301", "i1", "u", "thumb", "up"],  # one id in two spellings
            ["z\u200b", "i1", "u", "thumb", "up"],  # an invisible character in an id
        ]
    )
    assert made.feedback["feedback_id"].tolist() == ["a"]
    assert why(made) == [
        (2, "duplicate"),
        (3, "conflict"),
        (4, "conflict"),
        (5, "unknown_item"),
        (6, "missing"),
        (7, "conflict"),
        (8, "conflict"),
        (9, "invisible_character"),
    ]
    assert made.accounts.set_index("source").loc["votes", ["read", "kept", "rejected"]].tolist() == [9, 1, 8]


def test_consent_comes_first_and_a_withdrawal_wins():
    answers = [
        GOOD,
        ["a", "i1", "Ann@x.org", "thumb", "up", "SECRET\0"],
        ["b", "i1", "u2", "thumb", "up"],
        ["c", "i1", "u3", "thumb", "up"],
        ["d", "i1", "", "thumb", "up"],
    ]
    raters = [
        ["u0", "granted", "30"],
        ["ann@x.org", "granted", "40"],
        ["ann@x.org", "withdrawn", "40"],
        ["u2", "yes", "50"],
    ]
    made = small(answers, raters, consent=clean.consented({}))
    assert made.feedback["feedback_id"].tolist() == ["f0"]
    assert why(made) == [(2, "withdrawn"), (3, "no_consent"), (4, "no_consent"), (5, "no_consent")]
    assert why(made, "people") == [(2, "withdrawn"), (3, "withdrawn"), (4, "no_consent")]
    assert made.raters[["rater_id", "consent", "cohort.age"]].to_numpy().tolist() == [["u0", "granted", "30"]]
    assumed = small(answers, raters, consent=ASSUMED)
    assert assumed.feedback["feedback_id"].tolist() == ["c", "d", "f0"]  # said nothing; "yes" is no agreed word


def test_consent_scope_of_one_answer():
    columns = {k: v for k, v in ANSWER.items() if k != "created_at"} | {"consent_scope": "at"}
    files = {
        "log": csv_bytes(["id", "part", "score"], ITEMS),
        "votes": csv_bytes(
            ["id", "item", "user", "q", "v", "t", "at"],
            [["a", "i1", "u", "thumb", "up", "", s] for s in ("None",)]
            + [["b", "i1", "u", "thumb", "up", "", "improve"]]
            + [["c", "i1", "u", "thumb", "up", "", s] for s in ("improve", "withdrawn")]
            + [["d", "i1", "u", "thumb", "up", "", ""]],
        ),
    }
    sources = [source("log", "items", ITEM), source("votes", "feedback", columns)]
    agreed = clean.consented({"training": ["improve"], "evaluation": [" improve "], "publication": ["all uses"]})
    made = run(files, sources, consent=agreed)
    assert made.feedback["feedback_id"].tolist() == ["b"]
    assert made.feedback[["for_training", "for_evaluation", "for_publication"]].to_numpy().tolist() == [[1, 1, 0]]
    assert why(made) == [(1, "no_consent"), (3, "withdrawn"), (4, "withdrawn"), (5, "no_consent")]
    assert made.refused.words.to_numpy().tolist() == [["consent_scope", "None", 1]]


REFUSALS = [
    "I do not agree", "No, I do not consent", "declined", "opt-out", "nein", "N", "0", "no", "none", "refused", "-",
    "training: no", "not training", "trainings", "training, evaluation", "research until 2025", "non", "нет", "拒否",
    "?", "UNDECIDED", "null", "expired", "no training",
]  # fmt: skip


@pytest.mark.parametrize("assumed", [False, True, ["publication", "training"]])
@pytest.mark.parametrize("word", REFUSALS)
def test_a_word_that_nobody_declared_is_no_consent_in_a_scope_and_of_a_rater(word, assumed):
    """24 refusals in people's own words; also where consent is assumed, since these people said something."""
    agreed = clean.consented({"training": ["research"], "evaluation": ["research"]}, assumed)
    rows = [["f1", "i1", "u1", "thumb", "up", "", "research"], ["f2", "i1", "u2", "thumb", "up", "", word],
            ["f3", "i2", "u3", "thumb", "up", "", "research"]]  # fmt: skip
    scope = {k: v for k, v in ANSWER.items() if k != "created_at"} | {"consent_scope": "at"}
    files = {"log": csv_bytes(["id", "part", "score"], ITEMS),
             "votes": csv_bytes(["id", "item", "user", "q", "v", "t", "at"], rows),
             "people": csv_bytes(["user", "consent"], [["u1", "granted"], ["u3", word]])}  # fmt: skip
    sources = [source("log", "items", ITEM), source("votes", "feedback", scope),
               source("people", "raters", {"rater_id": "user", "consent": "consent"})]  # fmt: skip
    made = run(files, sources, consent=agreed)
    assert made.feedback["feedback_id"].tolist() == ["f1"]
    assert why(made) == [(2, "no_consent"), (3, "no_consent")]
    listed = made.refused.words
    assert listed[["column", "records"]].to_numpy().tolist() == [["consent", 1], ["consent_scope", 1]]
    assert set(listed["word"]) == {word}


@pytest.mark.parametrize(
    ("words", "assumed", "message"),
    [
        ({"trainning": ["yes"]}, False, "purposes of training, evaluation, publication"),
        ({"training": "yes"}, False, "a list of words under training"),
        ({"training": ["Withdrawn"]}, False, "words that agree"),
        ({}, ["everything"], "purposes of training, evaluation, publication"),
    ],
)
def test_a_declaration_of_consent_that_means_nothing_is_an_error(words, assumed, message):
    with pytest.raises(ParamError, match=message):
        clean.consented(words, assumed)


def test_an_answers_own_scope_goes_before_what_its_rater_stated_and_that_before_what_is_assumed():
    feedback = pd.DataFrame({"feedback_id": list("abcd"), "rater_id": ["u", "u", "v", None], "_entry": [0, 1, 2, 3],
                             "consent_scope": ["evaluation", None, None, None]})  # fmt: skip
    raters = pd.DataFrame({"rater_id": ["U"], "consent": ["training"], "_entry": [4]})
    ledger = Ledger([Records("x", pd.DataFrame(index=range(5)), range(1, 6))], ["feedback"])
    rule = clean.consented({}, ["evaluation", "publication"])
    none = pd.DataFrame({"comparison_id": pd.Series(dtype="object"), "_entry": pd.Series(dtype="int64")})
    kept = consent.applied({"raters": raters, "feedback": feedback, "comparisons": none}, ledger, rule)[0]["feedback"]
    flags = kept[["for_training", "for_evaluation", "for_publication"]].to_numpy().tolist()
    assert flags == [["0", "1", "0"], ["1", "0", "0"], ["0", "1", "1"], ["0", "1", "1"]]


SPELLINGS = [
    ("101", "101.0"), ("101", "00101"), ("101", " 101 "), ("Ann@X.org", "mailto:ann@x.org"), ("ann@x.org", "ANN@x.org"),
    ("U7", "u7"), ("u 7", "u7"), ("ünal", "U\u0308nal"), ("7", "７"), ("0", "000"),
]  # fmt: skip


@pytest.mark.parametrize(("here", "there"), SPELLINGS)
def test_a_withdrawal_reaches_the_person_under_every_spelling(here, there):
    made = small([GOOD, ["a", "i1", here, "thumb", "up"]], [["u0", "granted", ""], [there, "withdrawn", ""]])
    assert made.feedback["feedback_id"].tolist() == ["f0"]
    assert why(made)[0] == (2, "withdrawn")
    assert made.refused.unreached.empty


def test_a_withdrawal_that_reaches_nobody_is_named_with_the_nearest_ids():
    raters = [
        ["u0", "granted", ""],
        ["user-17", "withdrawn", ""],
        ["", "withdrawn", ""],
        ["bob@x.org", "withdrawn", ""],
    ]
    made = small([GOOD, ["a", "i1", "user_17", "thumb", "up"]], raters)
    lost = made.refused.unreached.set_index("withdrawal")["nearest"]
    assert lost["user-17"] == "user_17"
    assert set(lost.index) == {"user-17", "without an id", "(a personal address)"}
    assert "3 withdrawals reached no answer" in clean.answer(made)


def test_a_withdrawal_does_not_grant_under_another_spelling():
    """Matched loosely to refuse, exactly to agree: 00101 may be somebody else's id."""
    made = small([GOOD, ["a", "i1", "101", "thumb", "up"]], [["u0", "granted", ""], ["00101", "granted", ""]],
                 consent=clean.consented({}))  # fmt: skip
    assert made.feedback["feedback_id"].tolist() == ["f0"]


def test_a_damaged_record_of_a_raters_source_stops_the_stage():
    files = {"log": csv_bytes(["id", "part", "score"], ITEMS), "people": b"user,consent\nu0,granted\nu1,withdrawn,\n\n",
             "votes": csv_bytes(["id", "item", "user", "q", "v", "t", "at"], [[*GOOD, "", ""]])}  # fmt: skip
    sources = [source("log", "items", ITEM), source("votes", "feedback", ANSWER),
               source("people", "raters", {"rater_id": "user", "consent": "consent"})]  # fmt: skip
    with pytest.raises(BadValue, match=r"1 damaged: record 2 \(field count\)(.|\n)*source people"):
        run(files, sources)


TIMES = {
    "2026-01-02T03:04:05Z": "2026-01-02T03:04:05",
    "2026-01-05": "2026-01-05T00:00:00",
    "2019-11-24 00:00:34.762830+00:00": "2019-11-24T00:00:34.762830",
    "2026-01-02T00:30:00+05:30": "2026-01-01T19:00:00",
    "2026-07-07T23:59:59Z": "2026-07-07T23:59:59",
}
BAD_TIMES = {
    "2026-01-02T03:04:05": "not_a_time",
    "13/01/2026": "not_a_time",
    "01/02/2026": "not_a_time",
    "1767322800": "not_a_time",
    "2026-02-30T00:00:00Z": "not_a_time",
    "2016-12-31T23:59:60Z": "not_a_time",
    "2026-01-01T24:00:00Z": "not_a_time",
    "2026-01-01T00:00:00+99:00": "not_a_time",
    "0001-01-01T00:00:00Z": "out_of_range",
    "2026-07-08T00:00:00Z": "future",
    "٢٠٢٦-01-01": "not_a_time",
}


def test_times_by_the_grammar():
    good = small([[f"f{i}", "i1", f"u{i}", "thumb", "up", "", t] for i, t in enumerate(TIMES)])
    assert [t.isoformat() for t in good.feedback["created_at"].dt.tz_localize(None)] == list(TIMES.values())
    bad = small([GOOD, *([f"g{i}", "i1", "u", "thumb", "up", "", t] for i, t in enumerate(BAD_TIMES))])
    assert [reason for _, reason in why(bad)] == list(BAD_TIMES.values())


BAD_NUMBERS = ["four", "inf", "NaN", "1_0", "\u0664", "\uff14", " 4", "+4", "0x4", "4,0", "07", ".5", "1e999"]


def test_numbers_by_the_grammar():
    made = small(
        [GOOD, *([f"g{i}", "i1", "u", "stars", v] for i, v in enumerate([*BAD_NUMBERS, "0", "6", "-1", "5.0", "4e0"]))]
    )
    assert [reason for _, reason in why(made)] == ["not_a_number"] * len(BAD_NUMBERS) + ["out_of_range"] * 3
    assert made.feedback.loc[made.feedback["question"] == "stars", "label"].tolist() == [0, 0]
    scores = small(
        [GOOD], items=[["i1", "safety", "0.9"], *([f"x{i}", "safety", v] for i, v in enumerate(BAD_NUMBERS))]
    )
    assert [reason for _, reason in why(scores, "log")] == ["not_a_number"] * len(BAD_NUMBERS)


def test_text_of_the_worst_kind():
    texts = [
        "a\0b",
        "\x1b[2J",
        "Z" + "\u0351\u036b\u0343" * 500,
        "x" * 100_001,
        "a\u202eb",
        "line\nline\ttab",
        "<script>",
    ]
    made = small([GOOD, *([f"g{i}", "i1", "u", "thumb", "up", t] for i, t in enumerate(texts))])
    assert [reason for _, reason in why(made)] == [
        "control_character",
        "control_character",
        "combining_marks",
        "too_long",
    ]
    assert made.feedback["value_text"].dropna().tolist() == texts[4:]


def test_a_score_outside_a_probability_stops_the_stage():
    with pytest.raises(BadValue, match="90"):
        small([GOOD], items=[["i1", "safety", "90"]])


def test_items_of_several_sources_are_joined():
    files = {
        "text": csv_bytes(
            ["id", "words"], [["i1", "one"], ["i1", "one"], ["i2", "two"], ["i3", "three"], ["i4", "four"]]
        ),
        "log": csv_bytes(
            ["id", "part", "score", "words"],
            [["i1", "safety", "0.9", ""], ["i2", "nowhere", "0.1", ""], ["i3", "search", "0.3", "other"]],
        ),
        "votes": csv_bytes(["id", "item", "q", "v"], [["a", "i1", "thumb", "up"], ["b", "i2", "thumb", "up"]]),
    }
    sources = [
        source("text", "items", {"item_id": "id", "text": "words"}, distinct=True),
        source("log", "items", ITEM | {"text": "words"}),
        source("votes", "feedback", {"feedback_id": "id", "item_id": "item", "question": "q", "value": "v"}),
    ]
    made = run(files, sources)
    assert made.items[["item_id", "text", "score"]].to_numpy().tolist() == [["i1", "one", 0.9]]
    assert made.repeated == {"text": 1, "log": 0, "votes": 0}
    assert why(made, "text") == [(3, "unknown_component"), (4, "conflict"), (5, "missing")]
    assert why(made, "log") == [(2, "unknown_component"), (3, "conflict")]
    assert why(made) == [(2, "unknown_item")]
    assert made.feedback[["rater_kind", "channel"]].to_numpy().tolist() == [["human", "votes"]]


def test_mapping_constants_templates_rows_unpivot_and_missing():
    files = {
        "log": csv_bytes(["score"], [["0.9"], ["0.2"]]),
        "votes": csv_bytes(["who", "v"], [["7", "up"], ["NA", "down"]]),
        "target": csv_bytes(["pos1", "pos2"], [["0.25", "0.5"], ["0.75", "1.5"], ["0.5", "0.5"]]),
    }
    sources = [
        source("log", "items", {"item_id": "item-{@row}", "component": "=safety", "score": "score"}),
        source(
            "votes",
            "feedback",
            {"feedback_id": "@row", "item_id": "=item-0", "rater_id": "u{who}", "question": "=thumb", "value": "v"},
            missing=["", "NA"],
        ),
        source(
            "target",
            "policy",
            {"context": "position", "action": "@row", "probability": "p"},
            unpivot={"into": "position", "value": "p", "columns": {"pos1": "1", "pos2": "2"}},
        ),
    ]
    made = run(files, sources)
    assert made.items["item_id"].tolist() == ["item-0", "item-1"]
    assert made.feedback["rater_id"].fillna("nobody").tolist() == ["u7", "nobody"]
    assert made.policy[["context", "action", "probability"]].to_numpy().tolist() == [
        ["1", "0", 0.25],
        ["1", "2", 0.5],
        ["2", "0", 0.5],
        ["2", "2", 0.5],
    ]
    assert why(made, "target") == [(2, "out_of_range")]  # one bad cell rejects the whole record


def test_a_list_is_not_a_value():
    lines = b"\n".join([b'{"id": 5, "text": ["x"], "n": 3}', b'{"id": 6, "text": "y", "n": {"a": 1}}'])
    files = {"log": csv_bytes(["id", "part", "score"], ITEMS), "votes": lines}
    columns = {"feedback_id": "id", "item_id": "=i1", "question": "=thumb", "value_text": "text"}
    made = run(files, [source("log", "items", ITEM), source("votes", "feedback", columns) | {"format": "jsonl"}])
    assert (made.feedback["feedback_id"].tolist(), why(made)) == (["6"], [(1, "type")])


def test_rows_in_any_order_give_the_same_tables():
    answers = [[f"f{i}", f"i{i % 3 + 1}", f"u{i % 4}", "thumb", "up" if i % 2 else "down", "ok"] for i in range(20)]
    answers += [answers[3], ["f4", "i1", "u", "thumb", "up"]]
    first, again = small(answers), small(answers[::-1], items=ITEMS[::-1])
    for name in ("items", "feedback", "raters"):
        one, other = (getattr(made, name).drop(columns=["line", "file_sha256"]) for made in (first, again))
        pd.testing.assert_frame_equal(one, other)
    assert clean.answer(first) == clean.answer(again)


def test_raters_named_by_mail_or_phone_become_pseudonyms():
    made = small(
        [
            ["a", "i1", "Ann@x.org", "thumb", "up"],
            ["b", "i1", "+49 30 901820", "thumb", "up"],
            ["c", "i1", "u17", "thumb", "up"],
            ["d-ann@x.org", "i1", "ann@x.org", "thumb", "up"],
        ],
        [["ann@x.org", "granted", "30"]],
    )
    ids = made.feedback.set_index("feedback_id")["rater_id"]
    ann = privacy.pseudonym("ANN@x.org", KEY)
    assert ids["a"] == ann == made.raters["rater_id"].iloc[0]
    assert ids["c"] == "u17"
    assert ids["b"].startswith("p")
    assert privacy.pseudonym("ann@x.org", b"o" * 32) != ann  # nobody can test a guess without the key
    everything = "".join(f.to_csv() for f in (made.feedback, made.raters, made.rejects))
    assert "x.org" not in everything
    assert "901820" not in everything


def test_the_secret_is_private_and_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    key = tables.secret()
    assert key == tables.secret()
    assert len(key) == 32
    assert (tmp_path / "data" / "private.key").stat().st_mode & 0o777 == 0o600


def test_personal_data_never_leaves_by_any_table():
    made = small([[*GOOD, "mail ann@example.org, call +1 415 555 0132, card 4111 1111 1111 1111"]])
    assert made.feedback["value_text"].tolist() == ["mail [email], call [phone], card [card]"]
    assert dict(made.masked) == {"email": 1, "phone": 1, "card": 1}


PII = {"PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "US_SSN", "IP_ADDRESS", "EMAIL_ADDRESS"}
DISGUISES = {
    "plain": lambda s: s,
    "zero width": "\u200b".join,
    "full width": lambda s: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in s),
    "bidi": lambda s: f"\u202e{s}\u202c",
    "no-break space": lambda s: s.replace(" ", "\u00a0"),
}


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
def test_structured_personal_data_is_found_also_in_disguise(disguise):
    corpus = SHARED / "corpora" / "pii" / "synth_dataset_v2.json"
    if not corpus.exists():
        pytest.skip("corpora/pii is absent")
    found = total = 0
    for record in json.loads(corpus.read_text("utf-8")):
        text, at, wanted = "", 0, []
        for span in sorted(record["spans"], key=lambda s: s["start_position"]):
            value = record["full_text"][span["start_position"] : span["end_position"]]
            value = disguise(value) if span["entity_type"] in PII else value
            text += record["full_text"][at : span["start_position"]]
            if span["entity_type"] in PII:
                inner = [i for i, c in enumerate(value, len(text)) if c not in "\u202e\u202c"]
                wanted.append((inner[0], inner[-1] + 1))
            text, at = text + value, span["end_position"]
        spans = patterns.find(text + record["full_text"][at:])
        total += len(wanted)
        found += sum(any(s <= start and end <= e for s, e, _ in spans) for start, end in wanted)
    assert total == 328
    assert found / total >= 0.99


def test_masks_leave_real_texts_alone():
    """No mask in 1,500 real comments, nor in things that look like a number of a person: dates, sums, versions."""
    file = SHARED / "data" / "popquorn" / "offensiveness_ratings.csv"
    if not file.exists():
        pytest.skip("shared/data is absent")
    with file.open(newline="", encoding="utf-8") as f:
        texts = {row["text"] for row in stdlib_csv.DictReader(f)}
    assert sum(bool(patterns.find(t)) for t in texts) == 0
    plain = [
        "2026-01-05 10:00",
        "1 000 000 people",
        "3.14159265",
        "ratio 16:9",
        "1914-1918",
        "room 101",
        "v10.2.1",
        "12/31/2025",
        "$1,234,567",
        "3 of 5",
        "call 911",
        "std::vector",
        "10:30:15",
        "50-60 %",
        "a@b",
        "1234567 items",
        "2024-2025",
    ]
    assert [t for t in plain if patterns.find(t)] == []


@pytest.mark.timeout(120)
def test_no_text_can_stall_the_masks():
    units = [
        "a.",
        "1 ",
        "1",
        "a@",
        "a@a.",
        "+",
        "(",
        "GB12 ",
        "1-",
        "::",
        "a://",
        "1.",
        "\u0301",
        "(1)",
        "(at)",
        "a (at) ",
        "1/",
    ]
    for unit in units:
        privacy.mask(unit * (200_000 // len(unit)))


def test_look_alike_groups_are_named():
    made = small([GOOD], [[f"u{i}", "granted", g] for i, g in enumerate(["F", "F ", "f", "F\u200b", "M", ""])])
    row = clean.evidence(made).set_index("measure").loc["look-alike group names"]
    assert (row["group"], row["value"]) == ("rater.age", 3)


def wrong(change, answers=(GOOD,)):
    sources = [source("log", "items", dict(ITEM)), source("votes", "feedback", dict(ANSWER))]
    params = {
        "sources": sources,
        "components": json.loads(json.dumps(COMPONENTS)),
        "rubric": json.loads(json.dumps(RUBRIC)),
    }
    change(params)
    files = {
        "log": csv_bytes(["id", "part", "score"], ITEMS),
        "votes": csv_bytes(["id", "item", "user", "q", "v", "t", "at"], [[*a, "", ""] for a in answers]),
    }
    records = [formats.read(data, "csv", source=name) for name, data in files.items()]
    return lambda: clean.clean(records, run_date="2026-07-06", **params)


MISTAKES = {
    "no sources": (lambda p: p.update(sources=[]), ParamError, "at least one entry in sources"),
    "same name": (lambda p: p["sources"][1].update(name="log"), ParamError, "'log' 2 times"),
    "extra key": (lambda p: p["sources"][0].update(colums={}), ParamError, "did you mean columns"),
    "no path": (lambda p: p["sources"][0].pop("path"), ParamError, "add `path:`"),
    "wrong table": (lambda p: p["sources"][0].update(table="item"), ParamError, r"sources\[0\]\.table"),
    "unknown agreed column": (
        lambda p: p["sources"][0]["columns"].update(scoer="score"),
        ParamError,
        "did you mean score",
    ),
    "cohort no group can be named by": (
        lambda p: p["sources"][0]["columns"].update({"cohort.a&b": "score"}),
        ParamError,
        "names groups",
    ),
    "label is made here": (lambda p: p["sources"][1]["columns"].update(label="v"), ParamError, "label"),
    "key not mapped": (lambda p: p["sources"][0]["columns"].pop("item_id"), ParamError, "map item_id"),
    "absent column": (lambda p: p["sources"][0]["columns"].update(score="Scores"), MissingColumn, "did you mean score"),
    "threshold": (lambda p: p["components"][0].update(threshold=1.5), ParamError, r"components\[0\]\.threshold"),
    "rubric component": (lambda p: p["rubric"][1].update(component="saftey"), ParamError, "did you mean safety"),
    "unquoted yes": (lambda p: p["rubric"][0].update(positive=[True]), ParamError, "put it in quotes"),
    "both sides": (lambda p: p["rubric"][0].update(positive=["down"]), ParamError, "on both"),
    "overlap": (lambda p: p["rubric"][1].update(negative={"at_least": 2.0}), ParamError, "overlap"),
}


@pytest.mark.parametrize(("change", "kind", "words"), MISTAKES.values(), ids=MISTAKES)
def test_every_mistake_in_params_is_one_helpful_error(change, kind, words):
    with pytest.raises(kind, match=words) as caught:
        wrong(change)()
    assert all((caught.value.expected, caught.value.found, caught.value.where, caught.value.todo))


def test_nothing_left_says_why():
    with pytest.raises(NothingLeft, match="2 unknown_item"):
        small([["a", "x", "u", "thumb", "up"], ["b", "y", "u", "thumb", "up"]])
    with pytest.raises(ParamError, match="run_date"):
        small([GOOD], run_date="6.7.2026")


# The bad-input pack through the whole room: `text` is value_text, `rating` an answer of 1 to 5, `consent` the rater's.
# Its outcomes are a proposal; hfkit differs on purpose where a text is optional (89, 90), 4.0 and 1e0 are numbers (49,
# 56), and where an answer without a value is kept as a comment (64).
DIFFERENT = {49: 5, 56: 5, 64: 5, 89: 5, 90: 5}


def pack():
    file = SHARED / "corpora" / "badinput" / "manifest.json"
    return list(json.loads(file.read_text()).items()) if file.exists() else []


@pytest.mark.parametrize(("name", "expected"), pack(), ids=[n for n, _ in pack()])
def test_the_bad_input_pack_through_the_whole_room(name, expected):
    kind = name.split(".")[1]
    data = (SHARED / "corpora" / "badinput" / "cases" / name).read_bytes()
    votes = {
        "feedback_id": "id",
        "item_id": "=i1",
        "rater_id": "u{id}",
        "question": "=stars",
        "value": "rating",
        "value_text": "text",
        "created_at": "ts",
    }
    people = {"rater_id": "u{id}", "consent": "consent", "cohort.group": "group", "cohort.age_band": "age_band"}
    sources = [
        source("log", "items", ITEM),
        source("votes", "feedback", votes) | {"format": kind},
        source("people", "raters", people, distinct=True) | {"format": kind},
    ]
    files = {"log": csv_bytes(["id", "part", "score"], ITEMS), "votes": data, "people": data}
    number = int(name[:3])
    given = {"components": COMPONENTS, "rubric": RUBRIC, "run_date": "2026-07-06", "consent": clean.consented({})}
    try:
        log, answers, raters = (formats.read(files[s["name"]], s["format"], source=s["name"]) for s in sources)
        if {reason for _, reason, _ in raters.rejects} - {"blank_line"}:
            with pytest.raises(BadValue, match="somebody's withdrawal"):
                clean.clean([log, answers, raters], sources=sources, **given)
        whole = Records(raters.source, raters.frame, raters.lines)  # as if the owner had taken the damaged ones out
        made = clean.clean([log, answers, whole], sources=sources, private=clean.Privacy(secret=lambda: KEY), **given)
    except HfkitError:
        assert number == 120 or expected["file"] == "error" or expected["accepted"] == 0
        return
    account = made.accounts.set_index("source").loc["votes"]
    if number == 120:  # a flipped bit that leaves the good rows as they are (tests/test_formats.py compares them)
        return
    assert expected["file"] != "error"
    assert account["kept"] == DIFFERENT.get(number, expected["accepted"])
    assert account["read"] == expected["records"]
    everything = "".join(getattr(made, t).to_csv() for t in ("feedback", "raters", "items", "rejects"))
    assert "SECRETCANARY" not in everything


cell = st.one_of(
    st.sampled_from(["", "i1", "i2", "i9", "up", "down", "thumb", "stars", "3", "u1", "a", "2026-01-01", "\0"]),
    st.text(max_size=4),
)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(cell, min_size=7, max_size=7), max_size=12))
def test_the_books_balance_whatever_comes_in(lines):
    frame = pd.DataFrame(
        [["f0", "i1", "u0", "thumb", "up", "", ""], *lines],
        columns=["id", "item", "user", "q", "v", "t", "at"],
        dtype="object",
    )
    log = formats.read(csv_bytes(["id", "part", "score"], ITEMS), "csv", source="log")
    votes = Records("votes", frame, range(1, len(frame) + 1))
    sources = [source("log", "items", ITEM), source("votes", "feedback", ANSWER)]
    try:
        made = clean.clean(
            [log, votes],
            sources=sources,
            components=COMPONENTS,
            rubric=RUBRIC,
            run_date="2026-07-06",
            consent=ASSUMED,
            private=clean.Privacy(secret=lambda: KEY),
        )
    except NothingLeft:
        return
    account = made.accounts.set_index("source").loc["votes"]
    assert account["read"] == len(frame) == account["kept"] + account["rejected"]
    assert account["kept"] == len(made.feedback)
    assert sorted(made.rejects.loc[made.rejects["source"] == "votes", "line"].unique()) == sorted(
        made.rejects.loc[made.rejects["source"] == "votes", "line"]
    )


def world(params, folder):
    given = yaml.safe_load(params.read_text())["clean"]
    records = [formats.read((folder / s["path"]).read_bytes(), s["format"], source=s["name"]) for s in given["sources"]]
    bins = given.pop("bins", {})
    given["consent"] = clean.consented(given.get("consent", {}), given.pop("assume_consent", False))
    return clean.binned(clean.clean(records, **given, private=clean.Privacy(secret=lambda: KEY)), bins)


def params_of(example, folder):
    params, data = ROOT / "examples" / example / "params.yaml", SHARED / "data" / folder
    if not params.exists() or not data.exists():
        pytest.skip(f"examples/{example} or shared/data is absent")
    return params, data


def test_popquorn_gives_its_published_figures():
    """reference_figures.json: 13,036 ratings of 1,500 items by 262 raters, share rated 3 or more 0.2554."""
    made = world(*params_of("popquorn", "popquorn"))
    assert (len(made.feedback), len(made.items), len(made.raters)) == (13_036, 1_500, 262)
    assert made.feedback["label"].mean() == pytest.approx(0.2554, abs=5e-5)
    assert made.feedback["rater_id"].nunique() == 262
    assert made.items["score"].notna().all()
    assert made.rejects.empty
    black = (
        made.feedback.merge(made.raters, on="rater_id")
        .groupby("cohort.race")["value"]
        .agg(lambda v: v.astype(float).mean())
    )
    assert black["Black or African American"] == pytest.approx(2.11, abs=0.001)


def test_open_bandit_gives_its_published_figures():
    """reference_figures.json: mean click 0.0038 (random), 0.0042 (bts); IPW of bts from random logs 0.004553."""
    made = world(*params_of("open_bandit", "obd_all"))
    clicks = made.items.groupby("arm")["reward"].mean()
    assert (clicks["random"], clicks["bts"]) == (pytest.approx(0.0038), pytest.approx(0.0042))
    logs = made.items[made.items["arm"] == "random"].merge(made.policy, on=["context", "action"])
    assert (logs["reward"] * logs["probability"] / logs["propensity"]).sum() / 10_000 == pytest.approx(
        0.004553, abs=2e-5
    )
    assert made.feedback["label"].sum() == 80
    assert made.rejects.empty


def sample():
    params, truth = ROOT / "params.yaml", ROOT / "tests" / "planted_truth.json"
    given = yaml.safe_load(params.read_text()).get("clean", {}) if params.exists() else {}
    if (
        not truth.exists()
        or not given
        or not all((ROOT / "data" / "raw" / s["path"]).exists() for s in given["sources"])
    ):
        pytest.skip("the sample world is absent")
    return world(params, ROOT / "data" / "raw"), json.loads(truth.read_text())


def test_the_sample_world_is_read_whole_and_every_planted_fault_found():
    made, truth = sample()
    for name in ("items", "feedback", "raters", "population", "policy", "components", "rejects", "accounts"):
        frame = getattr(made, name)
        pd.testing.assert_frame_equal(schema.shape(frame, schema.TABLES[name]), frame)
    assert (made.accounts["read"] == made.accounts["kept"] + made.accounts["rejected"]).all()
    found = {s: g.groupby("reason").size().to_dict() for s, g in made.rejects.groupby("source")}
    for name, planted in truth["broken"].items():
        assert {r: n for r, n in found.get(name, {}).items() if r in planted} == planted
    kept = set(made.feedback["feedback_id"])
    assert found["thumbs"]["duplicate"] == len(kept & set(truth["duplicates"]))
    assert found["raters"]["withdrawn"] == len(truth["withdrawn"]["raters"])
    assert set(truth["duplicates"]) - kept <= set(truth["withdrawn"]["feedback"])
    assert not kept & {*truth["conflicts"], *truth["withdrawn"]["feedback"]}
    assert not set(made.raters["rater_id"]) & set(truth["withdrawn"]["raters"])
    text = made.feedback.set_index("feedback_id")["value_text"]
    for answer, (kind, secret) in truth["personal_data"].items():
        assert answer not in kept or (f"[{kind}]" in text[answer] and secret not in text[answer])
    assert sum(made.masked.values()) == len(kept & set(truth["personal_data"]))
    assert np.isfinite(list(clean.metrics(made).values())).all()


# --- numeric groups, people served


AGES = pd.DataFrame({"item_id": ["a", "b", "c", "d"], "component": "x", "cohort.age": ["17", "30", "64.0", None]})


def aged(bins, ages=AGES):
    """A cleaned world whose items and raters carry ages, its population the ages 17 and 64 at half each."""
    feedback = pd.DataFrame({"feedback_id": ["f"], "item_id": ["a"], "rater_id": ["r"], "label": [1.0]})
    raters = pd.DataFrame({"rater_id": ["r"], "cohort.age": ["29"]})
    population = pd.DataFrame({"cohort": ["age", "age"], "group": ["17", "64"], "share": [0.5, 0.5]})
    empty = pd.DataFrame()
    rest = dict.fromkeys(["comparisons", "questions", "policy", "components", "rejects", "accounts"], empty)
    made = clean.Cleaned(items=ages, feedback=feedback, raters=raters, population=population, **rest,
                         masked={}, repeated={}, unlabelled={})  # fmt: skip
    return clean.binned(made, bins)


def test_declared_bins_cut_items_raters_and_population_alike():
    made = aged({"age": [30, 64]})
    assert made.items["cohort.age"].tolist()[:3] == ["under 30", "30 to 63", "64 and over"]
    assert made.items["cohort.age"].isna().tolist() == [False, False, False, True]
    assert made.raters["cohort.age"].tolist() == ["under 30"]
    shares = made.population.set_index("group")["share"]
    assert shares.to_dict() == {"under 30": 0.5, "64 and over": 0.5}
    assert made.bins == {"age": [30.0, 64.0]}


def test_many_ages_are_quarters_by_default_and_few_stay():
    many = pd.DataFrame({"item_id": [f"i{k}" for k in range(94)], "component": "x",
                         "cohort.age": [str(k) for k in range(6, 100)]})  # fmt: skip
    made = aged({}, many)
    sizes = made.items["cohort.age"].value_counts()
    assert len(sizes) == 4
    assert sizes.between(22, 25).all()
    assert aged({}).items["cohort.age"].tolist()[:3] == ["17", "30", "64.0"]


@pytest.mark.parametrize(
    ("bins", "message"), [({"height": [1]}, "an attribute of age"), ({"age": [30, 20]}, "numbers that rise"),
                          ({"age": []}, "numbers that rise"), ({"age": ["x"]}, "numbers that rise")],
)  # fmt: skip
def test_wrong_bins_name_themselves(bins, message):
    with pytest.raises(ParamError, match=message):
        aged(bins)


def test_the_person_served_becomes_a_pseudonym_where_the_id_is_personal():
    table = pd.DataFrame({"item_id": ["a", "b"], "unit_id": ["pat@example.org", "u7"]})
    parts = {"items": table, "feedback": pd.DataFrame(), "comparisons": pd.DataFrame()}
    named = privacy.pseudonymised(parts, lambda: KEY)["items"]["unit_id"]
    assert named[0].startswith("p")
    assert "pat" not in named[0]
    assert named[1] == "u7"
