# ruff: noqa: E501 - tables as literals
"""What a source can say of itself, what is listed, where each row came from, and comparisons. Small tables, by hand."""

import hashlib

import pandas as pd
import pytest
from test_clean import COMPONENTS, ITEM, ITEMS, RUBRIC, csv_bytes, run, source

from hfkit import clean, formats
from hfkit.shared.errors import MissingColumn, ParamError

VOTE = {"feedback_id": "id", "item_id": "item", "rater_id": "user", "question": "q", "value": "v"}
HEADER = ["id", "item", "user", "q", "v", "kind", "done"]


def votes(rows, header=HEADER, files=None, sources=(), columns=VOTE, more=None, **keys):
    """The usual three items, and one source of answers with the given keys."""
    data = {"log": csv_bytes(["id", "part", "score"], ITEMS), "votes": csv_bytes(header, rows)} | (files or {})
    return run(
        data, [source("log", "items", ITEM), source("votes", "feedback", columns, **keys), *sources], **(more or {})
    )


def rejects(made, name="votes"):
    r = made.rejects[made.rejects["source"] == name]
    return list(zip(r["line"], r["reason"], r["column"], strict=True))


def test_values_are_translated_in_codes_and_never_in_texts_or_ids():
    rows = [["EVAL", "i1", "EVAL", "thumb", "EVAL", "EVAL", ""], ["b", "i1", "u", "thumb", "up", "ANNOTATION", ""]]
    columns = VOTE | {"rater_kind": "kind"}
    made = votes(rows, columns=columns, values={"EVAL": "model", "ANNOTATION": "human"}).feedback.set_index(
        "feedback_id"
    )
    assert made.loc["EVAL", ["rater_id", "rater_kind", "value"]].tolist() == ["EVAL", "model", "model"]
    made = votes(rows, columns=columns, values={"rater_kind": {"EVAL": "model", "ANNOTATION": "human"}})
    assert made.feedback.set_index("feedback_id").loc["EVAL", "value"] == "EVAL"
    with pytest.raises(ParamError, match="did you mean rater_kind"):
        votes(rows, columns=columns, values={"raterkind": {"EVAL": "model"}})
    wrong = votes([["a", "i1", "u", "thumb", "up", "API", ""], *rows[1:]], columns=columns,
                  values={"rater_kind": {"ANNOTATION": "human"}})  # fmt: skip
    assert rejects(wrong) == [(1, "not_in_list", "rater_kind")]
    assert wrong.examples[("votes", "not_in_list", "rater_kind")] == "'API'"


def test_rows_are_chosen_and_the_rest_is_rejected_with_the_column():
    rows = [["a", "i1", "u", "thumb", "up", "", "True"], ["b", "i1", "v", "thumb", "up", "", "False"],
            ["c", "i1", "w", "thumb", "up", "", ""]]  # fmt: skip
    made = votes(rows, keep={"done": ["True"]})
    assert made.feedback["feedback_id"].tolist() == ["a"]
    assert rejects(made) == [(2, "not_kept", "done"), (3, "not_kept", "done")]
    with pytest.raises(MissingColumn, match="did you mean done"):
        votes(rows, keep={"Done": ["True"]})


def test_a_slider_is_clipped_where_declared_counted_and_else_out_of_range():
    stars = [
        RUBRIC[0],
        RUBRIC[1] | {"range": [0.0, 100.0], "positive": {"at_least": 60.0}, "negative": {"at_most": 40.0}},
    ]
    rows = [["a", "i1", "u", "stars", "101", "", ""], ["b", "i1", "v", "stars", "-3", "", ""],
            ["c", "i1", "w", "stars", "55", "", ""]]  # fmt: skip
    made = votes(rows, clip=[0.0, 100.0], more={"rubric": stars})
    assert made.feedback["value"].tolist() == ["100", "0", "55"]
    assert made.clipped == {"votes": 2}
    assert "answers clipped" in clean.evidence(made)["measure"].tolist()
    assert rejects(votes(rows, more={"rubric": stars})) == [(1, "out_of_range", "value"), (2, "out_of_range", "value")]


def test_a_repeated_or_empty_header_is_harmless_until_a_mapping_names_it():
    header = ["", "id", "item", "user", "q", "v", "note", "note"]
    rows = [["0", "a", "i1", "u", "thumb", "up", "x", "y"]]
    assert len(votes(rows, header=header).feedback) == 1
    with pytest.raises(MissingColumn, match="several of that name"):
        votes(rows, header=header, columns=VOTE | {"value_text": "note"})


@pytest.mark.parametrize(
    "written", ["\U0001f44d", "\U0001f44d\U0001f3fd", "\U0001f44d\ufe0f", "\U0001f44d\U0001f3ff\ufe0f"]
)
def test_emoji_differ_by_meaning_not_by_skin_or_selector(written):
    rubric = [RUBRIC[0] | {"positive": ["\U0001f44d"], "negative": ["\U0001f44e"]}]
    made = votes([["a", "i1", "u", "thumb", written, "", ""], ["b", "i2", "u", "thumb", "\U0001f44e", "", ""]],
                 more={"rubric": rubric})  # fmt: skip
    assert made.feedback["label"].tolist() == [1.0, 1.0]


def test_every_row_says_where_it_came_from():
    rows = [["a", "i1", "u", "thumb", "up", "", ""], ["x", "nowhere", "u", "thumb", "up", "", ""],
            ["b", "i2", "v", "thumb", "up", "", ""]]  # fmt: skip
    made = votes(rows)
    digest = hashlib.sha256(csv_bytes(HEADER, rows)).hexdigest()[:16]
    assert made.feedback[["source", "line", "file_sha256"]].to_numpy().tolist() == [
        ["votes", 1, digest],
        ["votes", 3, digest],
    ]
    assert made.items["source"].tolist() == ["log"] * 3
    assert made.accounts.set_index("source").loc["votes", "sha256"].startswith(digest)


def test_unnamed_answers_are_listed_with_whose_they_are():
    rows = [[f"f{k}", "i1", f"u{k}", "stars", "4,5" if k < 10 else "5", "", ""] for k in range(30)]
    raters = [[f"u{k}", "granted", "DE" if k < 12 else "US"] for k in range(30)]
    people = source("people", "raters", {"rater_id": "user", "consent": "consent", "cohort.country": "c"})
    files = {"people": csv_bytes(["user", "consent", "c"], raters)}
    listed = votes(rows, files=files, sources=[people]).unnamed
    assert rejects(votes(rows, files=files, sources=[people])) == [(k + 1, "not_a_number", "value") for k in range(10)]
    free = [RUBRIC[0], {k: v for k, v in RUBRIC[1].items() if k != "range"}]
    listed = votes(rows, files=files, sources=[people], more={"rubric": free}).unnamed
    assert listed.to_numpy().tolist() == [["stars", "4,5", 10, 10, "rater.country=DE (100% of these, 40% of all)"]]
    few = votes(rows[7:], files=files, sources=[people], more={"rubric": free}).unnamed
    assert few["mostly"].tolist() == ["rater.country=DE"]  # three people: named, not numbered


def test_usable_counts_labels_and_not_rows():
    rows = [["a", "i1", "u", "thumb", "up", "", ""], ["b", "i1", "v", "thumb", "meh", "", ""],
            ["c", "nowhere", "w", "thumb", "up", "", ""], ["d", "i1", "w", "other", "x", "", ""]]  # fmt: skip
    assert clean.answer(votes(rows)).startswith("25.0% of 4 answers are usable, that is, they give a label: 1 by ")


def test_levels_are_declared_or_proposed_and_shown():
    rows = [[f"f{k}", "i1", f"u{k}", q, v, "", ""] for k, (q, v) in enumerate(
        [("thumb", v) for v in ("up", "down", "up")] + [("stars", v) for v in "12345"] + [("class", v) for v in "0123"]
        + [("slide", str(v)) for v in range(0, 101, 5)] + [("ratio", v) for v in ("0.5", "1.5", "2.25")])]  # fmt: skip
    made = votes(rows).questions.set_index("question")
    assert made["level"].to_dict() == {"thumb": "binary", "stars": "ordinal", "class": "nominal", "slide": "interval",
                                       "ratio": "interval"}  # fmt: skip
    assert not made["declared"].any()
    declared = votes(rows, more={"rubric": [RUBRIC[0], RUBRIC[1] | {"level": "interval"}]}).questions.set_index(
        "question"
    )
    assert declared.loc["stars", ["level", "declared"]].tolist() == ["interval", True]
    with pytest.raises(ParamError, match="level"):
        votes(rows, more={"rubric": [RUBRIC[0] | {"level": "metric"}]})


PAIR = {"comparison_id": "id", "item_a": "a", "item_b": "b", "winner": "w", "rater_id": "user", "position": "first",
        "created_at": "at"}  # fmt: skip


def compared(rows, raters=None, **keys):
    pairs = source("pairs", "comparisons", PAIR, **keys)
    files = {"pairs": csv_bytes(["id", "a", "b", "w", "user", "first", "at"], rows)}
    sources = [pairs]
    if raters:
        files["people"] = csv_bytes(["user", "consent"], raters)
        sources.append(source("people", "raters", {"rater_id": "user", "consent": "consent"}))
    return votes([["a", "i1", "u", "thumb", "up", "", ""]], files=files, sources=sources)


def test_comparisons_have_items_a_winner_and_a_rater_who_agreed():
    rows = [["p1", "i1", "i2", "a", "u", "a", ""], ["p2", "i1", "i3", "tie", "v", "", ""],
            ["p3", "i1", "nowhere", "a", "u", "", ""], ["p4", "i1", "i2", "left", "u", "", ""],
            ["p5", "i2", "i3", "b", "u7", "b", ""], ["p6", "i2", "i3", "b", "w", "", "2026-01-01"],
            ["p7", "i2", "i3", "a", "w", "", "2026-01-02"]]  # fmt: skip
    made = compared(rows, raters=[["U7 ", "withdrawn"], ["u", "granted"]])
    assert made.comparisons["comparison_id"].tolist() == ["p1", "p2", "p7"]
    assert made.comparisons["position"].fillna("").tolist() == ["a", "", ""]
    assert made.comparisons["question"].tolist() == ["preference"] * 3
    assert rejects(made, "pairs") == [(3, "unknown_item", "item_b"), (4, "not_in_list", "winner"),
                                      (5, "withdrawn", "consent"), (6, "superseded", "created_at")]  # fmt: skip
    account = made.accounts.set_index("source").loc["pairs"]
    assert (account["read"], account["kept"], account["rejected"]) == (7, 3, 4)


def test_a_preference_file_needs_no_mapping():
    pairs = b'{"prompt": "why?", "chosen": "because", "rejected": "no"}\n'
    given = formats.completed([
        {"name": "replies", "table": "items", "path": "p", "format": "preference",
         "columns": {"component": "=safety"}},
        {"name": "pairs", "table": "comparisons", "path": "p", "format": "preference"}])  # fmt: skip
    records = [formats.read(pairs, "preference", source=s["name"]) for s in given]
    votes_ = source("votes", "feedback", VOTE)
    records.append(
        formats.read(csv_bytes(HEADER, [["a", "0.chosen", "u", "thumb", "up", "", ""]]), "csv", source="votes")
    )
    made = clean.clean(records, sources=[*given, votes_], components=COMPONENTS, rubric=RUBRIC, run_date="2026-07-06",
                       consent=clean.consented({}, True))  # fmt: skip
    assert made.items["response"].tolist() == ["because", "no"]
    assert made.items["text_group"].nunique() == 1  # the same prompt: never on two sides of a split
    assert made.comparisons[["item_a", "item_b", "winner"]].to_numpy().tolist() == [["0.chosen", "0.rejected", "a"]]


def test_a_forgotten_person_is_out_with_their_items_and_comparisons():
    key = b"k" * 32
    erased = frozenset({clean.digest("u7", key)})
    data = {"log": csv_bytes(["id", "part", "score", "served"], [[*ITEMS[0], "U7"], [*ITEMS[1], "s2"]]),
            "votes": csv_bytes(HEADER, [["a", "i1", "v", "thumb", "up", "", ""], ["b", "i2", "u7 ", "thumb", "up", "", ""],
                                        ["c", "i2", "w", "thumb", "up", "", ""]])}  # fmt: skip
    sources = [source("log", "items", ITEM | {"unit_id": "served"}), source("votes", "feedback", VOTE)]
    records = [formats.read(data[s["name"]], "csv", source=s["name"]) for s in sources]
    made = clean.clean(records, sources=sources, components=COMPONENTS, rubric=RUBRIC, run_date="2026-07-06",
                       consent=clean.consented({}, True),
                       private=clean.Privacy(secret=lambda: key, forgotten=erased))  # fmt: skip
    assert made.items["item_id"].tolist() == ["i2"]
    assert made.feedback["feedback_id"].tolist() == ["c"]
    assert rejects(made, "log") == [(1, "withdrawn", "unit_id")]
    assert rejects(made) == [(1, "unknown_item", "item_id"), (2, "withdrawn", "consent")]


def test_personal_data_in_a_question_or_a_release_is_masked():
    rows = [["a", "i1", "u", "ask ann@example.org", "up", "", "v1 of bob@example.org"]]
    made = votes(rows, columns=VOTE | {"model_version": "done"})
    assert made.feedback[["question", "model_version"]].to_numpy().tolist() == [["ask [email]", "v1 of [email]"]]
    assert isinstance(made.questions, pd.DataFrame)
    assert made.questions["question"].tolist() == ["ask [email]"]
