"""Clean reads exports as their tools write them, where the source says how; what it cannot read is listed."""

from __future__ import annotations

import pandas as pd
import pytest
from test_clean import ANSWER, ASSUMED, ITEM, ITEMS, csv_bytes, run, small, source, why

from hfkit import clean, formats
from hfkit.clean.settings import Time
from hfkit.clean.spelling import times
from hfkit.commands import doctor
from hfkit.shared import params
from hfkit.shared.errors import NothingLeft, ParamError

NOON = "2026-03-01T12:00:00.000000Z"


def answers(rows, header=("id", "item", "user", "q", "v", "t", "at"), **more):
    """The items of test_clean, and these answers from a source with more settings."""
    files = {"log": csv_bytes(["id", "part", "score"], ITEMS), "votes": csv_bytes(header, rows)}
    rubric = more.pop("rubric", None)
    columns = more.pop("columns", ANSWER)
    sources = [source("log", "items", ITEM), source("votes", "feedback", columns, **more)]
    return run(files, sources, **({"rubric": rubric} if rubric else {}))


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        ("2026-03-01 12:00:00 UTC", {}), ("2026-03-01T12:00Z", {}), ("2026-03-01 12:00:00.000+00", {}),
        ("2026-03-01T14:00:00+0200", {}), ("2026-03-01 13:00", {"zone": "Europe/Berlin"}),
        ("1772366400", {"format": "epoch"}),
        ("1772366400000", {"format": "epoch_ms"}), ("46082.5", {"format": "spreadsheet"}),
        ("3/1/2026 7:00:00", {"format": "%m/%d/%Y %H:%M:%S", "zone": "America/New_York"}),
        ("01.03.2026 13:00", {"format": "%d.%m.%Y %H:%M", "zone": "Europe/Berlin"}),
    ],
)  # fmt: skip
def test_a_time_is_read_as_its_source_says_that_it_writes_it(written, rule):
    assert times(pd.Series([written, None]), Time(**rule)).tolist() == [NOON, None]
    made = answers([["a", "i1", "u", "thumb", "up", "", written]], time=rule)
    assert made.feedback["created_at"].tolist() == [pd.Timestamp(NOON)]


@pytest.mark.parametrize(
    "written", ["31/31/2026", "soon", "", "99999999999999999999", "2026-02-30 12:00", "nan", "inf"]
)
@pytest.mark.parametrize("format", ["iso", "epoch", "spreadsheet", "%m/%d/%Y"])
def test_what_does_not_fit_the_declaration_is_rejected_and_shown_never_guessed(written, format):
    made = answers([["ok", "i1", "u", "thumb", "up", "", ""], ["a", "i1", "v", "thumb", "up", "", written]],
                   time={"format": format})  # fmt: skip
    assert why(made) == ([(2, "not_a_time")] if written else [])


def test_an_hour_that_happens_twice_or_never_is_not_guessed():
    for never in ("2026-03-29 02:30", "2026-10-25 02:30"):
        assert times(pd.Series([never]), Time(zone="Europe/Berlin")).tolist() == [never]


def test_an_undeclared_way_of_writing_is_named_with_what_was_seen_and_what_to_declare():
    made = answers([["ok", "i1", "u", "thumb", "up", "", ""], ["a", "i1", "v", "thumb", "up", "", "3/1/2026 14:02:11"]])
    row = clean.reasons(made).set_index("reason").loc["not_a_time", "for example"]
    assert "'3/1/2026 14:02:11' in created_at" in row
    assert "time: {format:" in row
    with pytest.raises(NothingLeft, match=r"'3/1/2026 14:02:11' in created_at: say how the source writes times"):
        answers([["a", "i1", "v", "thumb", "up", "", "3/1/2026 14:02:11"]])
    with pytest.raises(ParamError, match=r"time zone(.|\n)*did you mean Europe/Berlin"):
        answers([["a", "i1", "v", "thumb", "up", "", ""]], time={"zone": "Europe/berlin"})


STARS = [
    {
        "question": "stars",
        "component": "item",
        "states": "truth",
        "positive": {"at_least": 4},
        "negative": {"at_most": 2},
    }
]


def test_a_decimal_comma_is_a_number_where_declared_and_listed_where_not():
    rows = [["a", "i1", "u", "stars", "4,5", "", ""], ["b", "i1", "v", "stars", "1,5", "", ""],
            ["c", "i1", "w", "stars", "1.500", "", ""]]  # fmt: skip
    made = answers(rows, decimal=",", rubric=STARS)
    assert made.feedback["label"].tolist() == [1.0, 0.0, 1.0]
    made = answers(rows, rubric=STARS)
    assert made.feedback["label"].isna().tolist() == [True, True, False]
    assert made.unnamed[["question", "value", "answers"]].to_numpy().tolist() == [
        ["stars", "1,5", 1],
        ["stars", "4,5", 1],
    ]


TICKS = [{"question": "wrong", "component": "item", "states": "truth", "positive": ["Nothing"],
          "negative": ["Rude", "Too slow, or no answer"]}]  # fmt: skip


def test_several_ticks_in_a_cell_count_and_what_matches_nothing_is_listed():
    cells = ["Rude, Odd", "Too slow, or no answer, Nothing", "Nothing", "Odd", "Rudeness", "Too slow", "Nothing, Odd"]
    rows = [[f"f{k}", "i1", f"u{k}", "wrong", cell, "", ""] for k, cell in enumerate(cells)]
    made = answers(rows, multiple=", ", rubric=TICKS)
    assert made.feedback["label"].fillna(-1).tolist() == [0.0, 0.0, 1.0, -1, -1, -1, 1.0]
    assert made.unnamed["value"].tolist() == ["Odd", "Rudeness", "Too slow"]
    assert answers(rows, rubric=TICKS).unnamed["answers"].sum() == 6


def test_numbers_that_are_equal_are_equal():
    rubric = [{"question": "q", "component": "item", "states": "truth", "positive": ["1"], "negative": ["0"]}]
    rows = [[f"f{k}", "i1", f"u{k}", "q", v, "", ""] for k, v in enumerate(["1.0", "1", "1e0", "0.0", "01", "one"])]
    assert answers(rows, rubric=rubric).feedback["label"].fillna(-1).tolist() == [1, 1, 1, 0, -1, -1]


def test_of_two_versions_of_an_answer_the_later_stands():
    first, second = "2026-01-01T10:00:00Z", "2026-01-02T10:00:00Z"
    rows = [["a", "i1", "u", "thumb", "up", "", second], ["a", "i1", "u", "thumb", "down", "", first],
            ["b", "i1", "v", "thumb", "up", "", first], ["b", "i1", "v", "thumb", "down", "", first]]  # fmt: skip
    made = answers([*rows, ["c", "i1", "w", "thumb", "up", "", ""]])
    assert made.feedback[["feedback_id", "value"]].to_numpy().tolist() == [["a", "up"], ["c", "up"]]
    assert why(made) == [(2, "superseded"), (3, "conflict"), (4, "conflict")]


def test_one_persons_answers_to_one_question_about_one_item_count_once():
    days = [f"2026-01-0{d}T10:00:00Z" for d in (3, 1, 2)]
    rows = [
        [f"f{k}", "i1", "u", "thumb", v, "", d] for k, (v, d) in enumerate(zip(["up", "down", "up"], days, strict=True))
    ]
    made = answers([*rows, ["g", "i2", "u", "thumb", "up", "", days[0]], ["h", "i1", "", "thumb", "up", "", days[0]],
                    ["i", "i1", "", "thumb", "up", "", days[1]]])  # fmt: skip
    assert made.feedback["feedback_id"].tolist() == ["f0", "g", "h", "i"]
    assert [r for _, r in why(made)] == ["superseded"] * 2


def test_blank_cells_of_a_wide_export_are_no_answers():
    columns = {"feedback_id": "{id}-{q}", "item_id": "item", "rater_id": "user", "question": "q", "value": "said"}
    wide = {"into": "q", "value": "said", "columns": {"x": "thumb", "y": "stars"}}
    rows = [["a", "i1", "u", "up", ""], ["b", "i1", "v", "", ""], ["c", "i1", "w", "up", "5"]]
    made = answers(rows, header=("id", "item", "user", "x", "y"), columns=columns, unpivot=wide)
    assert made.feedback["feedback_id"].tolist() == ["a-thumb", "c-stars", "c-thumb"]
    assert (why(made), made.blank) == ([(2, "blank")], {"votes": 1})


def test_header_rows_are_nobody(tmp_path):
    columns = ["ResponseId", "Q1"]
    rows = [["Response ID", "Was it right?"], ['{"ImportId": "_recordId"}', '{"ImportId": "QID1"}'], ["R_1", "Yes"]]
    qualtrics = formats.read(csv_bytes(columns, rows), "csv", source="survey")
    assert formats.below_header(qualtrics).frame.to_numpy().tolist() == [["R_1", "Yes"]]
    assert formats.below_header(qualtrics).lines[0] == 3
    declared = formats.read(csv_bytes(columns, [["note", "note"], ["R_1", "Yes"]]), "csv", source="survey")
    assert formats.below_header(declared).read == 2
    assert formats.below_header(declared, 2).frame.to_numpy().tolist() == [["R_1", "Yes"]]


@pytest.mark.parametrize("text", ["clean:\n  run_date: 2026-07-06  # day\n", "clean: {run_date: 2026-07-06}\n"])
def test_a_date_without_quotes_is_read_as_text_and_mended_for_dvc(tmp_path, text):
    file = tmp_path / "params.yaml"
    file.write_text(text, "utf-8")
    assert params.load(file)["clean"]["run_date"] == "2026-07-06"
    (finding,) = doctor.dates(tmp_path)
    finding.cure()
    assert file.read_text("utf-8") == text.replace("2026-07-06", '"2026-07-06"')
    assert list(doctor.dates(tmp_path)) == []


def test_nothing_is_said_of_what_is_as_it_should_be():
    made = small([["a", "i1", "u", "thumb", "up"]], consent=ASSUMED)
    assert (len(made.unnamed), made.blank.get("votes", 0), made.examples) == (0, 0, {})
