"""Formats of other tools, field for field as they export: values by hand, the contract, and round trips."""

# ruff: noqa: E501 - the files of other tools have long lines

import io
import json
import zipfile

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from formats_contract import keeps_its_promises
from hypothesis import given, settings
from hypothesis import strategies as st

from hfkit import clean, formats
from hfkit.formats.plugin import Format
from hfkit.shared import schema
from hfkit.shared.errors import UnknownFormat

TASK = {
    "id": 7, "data": {"item_id": "i1", "text": "hello"},
    "annotations": [{"id": 1, "completed_by": {"id": 3, "email": "ann@example.org"}, "was_cancelled": False,
                     "lead_time": 4.5, "created_at": "2026-01-05T10:00:00Z",
                     "result": [{"id": "r", "from_name": "harm", "type": "choices", "value": {"choices": ["yes"]}}]}],
}  # fmt: skip
MIN = {"id": 7, "text": "hello", "annotator": 3, "annotation_id": 1, "created_at": "2026-01-05T10:00:00Z",
       "updated_at": "2026-01-05T10:00:00Z", "lead_time": 4.5, "harm": "yes", "why": {"choices": ["rude", "slow"]},
       "stars": 4}  # fmt: skip
ARGILLA = {"id": "i1", "fields": {"text": "hello"}, "metadata": {},
           "responses": {"harm": [{"value": "yes", "user_id": "u1"}, {"value": ["a", "b"], "user_id": "u2"}]},
           "suggestions": {"harm": {"value": "no", "score": 0.5, "agent": "m1"}}}  # fmt: skip
FLAT = {"id": "i1", "text": "hello", "harm.responses": ["yes", "no", "no"], "harm.responses.users": ["u1", "u2", "u3"],
        "harm.responses.status": ["submitted", "submitted", "discarded"], "harm.suggestion": "no",
        "harm.suggestion.score": 0.5, "harm.suggestion.agent": "m1"}  # fmt: skip
SCORE = {"id": "s1", "traceId": "t1", "observationId": None, "name": "helpful", "value": 0, "stringValue": "good",
         "dataType": "CATEGORICAL", "source": "ANNOTATION", "comment": "ok", "authorUserId": "u1",
         "timestamp": "2026-01-05T10:00:00.000Z"}  # fmt: skip
SPAN = {"id": "a1", "span_id": "s1", "name": "correct", "annotator_kind": "HUMAN", "identifier": "", "source": "APP",
        "result": {"label": None, "score": 0.25, "explanation": "hm"}, "metadata": {}, "user_id": "u1",
        "created_at": "2026-01-05T10:00:00Z", "updated_at": "2026-01-05T10:00:00Z"}  # fmt: skip
ASSESSMENT = {"assessment_id": "a1", "trace_id": "t1", "span_id": None, "name": "correct",
              "source": {"source_type": "HUMAN", "source_id": "u1"}, "feedback": {"value": True}, "rationale": "ok",
              "metadata": {}, "create_time_ms": 1767607200000, "last_update_time_ms": 1767607200000}  # fmt: skip
LANGSMITH = {"id": "f1", "created_at": "2026-01-05T10:00:00.5", "modified_at": None, "run_id": "r1", "key": "correct",
             "score": 0.5, "value": None, "comment": "hm", "correction": {"output": "42"},
             "feedback_source": {"type": "app", "metadata": None, "user_id": "u1"}}  # fmt: skip
WEBUI = {"id": "f1", "user_id": "u1", "version": 0, "type": "rating",
         "data": {"rating": "1", "model_id": "m1", "sibling_model_ids": ["m2"], "reason": "accurate", "comment": "ok"},
         "meta": {"arena": True, "chat_id": "c1", "message_id": "m9", "tags": ["x"]},
         "snapshot": {"chat": {"secret": "whole conversation"}}, "created_at": 1767607200, "updated_at": 1767607200}  # fmt: skip
THUMB = {"prompt": [{"role": "user", "content": "why?"}], "completion": "because", "label": True}
PAIR = {"prompt": "why?", "chosen": [{"role": "assistant", "content": "because"}], "rejected": "no"}
DPO = {"input": {"messages": [{"role": "user", "content": "why?"}], "tools": []},
       "preferred_output": [{"role": "assistant", "content": "because"}],
       "non_preferred_output": [{"role": "assistant", "content": "no"}]}  # fmt: skip
MTURK = b"""HITId,AssignmentId,WorkerId,AssignmentStatus,SubmitTime,WorkTimeInSeconds,Input.text,Answer.fit.1,Answer.fit.2,Answer.why
h,a1,w1,Submitted,Sat Oct 08 21:21:47 PDT 2022,90,hello,False,True,because
h,a2,w2,Approved,Sat Dec 10 21:21:47 PST 2022,60,hello,True,False,
"""
QUALTRICS = b"""StartDate,RecordedDate,Status,Finished,ResponseId,Duration (in seconds),Q1
Start Date,Recorded Date,Response Type,Finished,Response ID,Duration (in seconds),Was it right?
"{""ImportId"":""startDate""}","{""ImportId"":""recordedDate""}","{""ImportId"":""status""}","{""ImportId"":""finished""}","{""ImportId"":""_recordId""}","{""ImportId"":""duration""}","{""ImportId"":""QID1""}"
2026-01-05 10:00:00,2026-01-05 10:01:00,IP Address,True,R_1,60,Yes
2026-01-05 10:00:00,2026-01-05 10:01:00,Survey Preview,True,R_2,60,Yes
2026-01-05 10:00:00,2026-01-05 10:01:00,IP Address,False,R_3,60,No
"""
FORMS = b"""Timestamp,Was it right?,What went wrong?
2022/10/05 3:14:15 PM GMT+2,Yes,
2022/10/05 12:14:15 AM GMT-3:30,No,"Rude, Slow"
"""


def xlsx(rows):
    """A small workbook as a spreadsheet program writes it: inline strings, numbers, and one date."""
    cells = []
    for r, row in enumerate(rows, 1):
        inner = "".join(
            f'<c r="{chr(65 + c)}{r}"><v>{v}</v></c>' if isinstance(v, int | float)
            else f'<c r="{chr(65 + c)}{r}" t="inlineStr"><is><t>{v}</t></is></c>'
            for c, v in enumerate(row) if v is not None
        )  # fmt: skip
        cells.append(f'<row r="{r}">{inner}</row>')
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    rel = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    packed = "http://schemas.openxmlformats.org/package/2006/relationships"
    parts = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
        "_rels/.rels": f'<Relationships xmlns="{packed}"><Relationship Id="r1" Type="{rel}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{packed}"><Relationship Id="r1" Type="{rel}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{rel}"><sheets><sheet name="Answers" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{"".join(cells)}</sheetData></worksheet>',
    }  # fmt: skip
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, text in parts.items():
            z.writestr(name, text)
    return out.getvalue()


def parquet(table):
    out = pa.BufferOutputStream()
    pq.write_table(table, out)
    return out.getvalue().to_pybytes()


def array(*records):
    return orjson.dumps(list(records))


GOOD = {
    "csv": (b"a,b\n1,2\n3,4\n", 2), "tsv": (b"a\tb\n1\t2\n", 1), "json": (array({"a": 1}, {"a": 2}), 2),
    "jsonl": (b'{"a": 1}\n{"a": {"b": 2}}\n', 2), "parquet": (parquet(pa.table({"a": ["x", "y"], "b": [1, None]})), 2),
    "xlsx": (xlsx([["a", "b"], ["x", 1], ["y", 2.5]]), 2), "argilla": (array(ARGILLA), 3),
    "chat": (b'{"id": 1, "messages": [{"role": "user", "content": "hi"}]}\n', 1), "google_forms": (FORMS, 2),
    "label_studio": (array(TASK), 1), "label_studio_min": (array(MIN), 1), "langfuse": (array(SCORE), 1),
    "langsmith": (array(LANGSMITH), 1), "mlflow": (array(ASSESSMENT), 1), "mturk": (MTURK, 3),
    "open_webui": (array(WEBUI), 1), "phoenix": (array(SPAN), 1), "preference": (array(PAIR, DPO), 2),
    "qualtrics": (QUALTRICS, 5), "thumbs": (array(THUMB), 1),
}  # fmt: skip


@pytest.mark.parametrize("name", formats.FORMATS)
def test_every_format_keeps_its_promises(name):
    keeps_its_promises(formats.FORMATS[name], *GOOD[name], damages=150 if name not in ("parquet", "xlsx") else 60)


def usual(name, *, table="feedback"):
    """The records of the good file through the format's own mapping, as clean reads them."""
    source = formats.completed([{"name": "s", "table": table, "format": name, "path": "x"}])[0]
    records = formats.below_header(formats.read(GOOD[name][0], name, source="s"), source.get("header_rows", 1))
    return rows(records, source, table)


def rows(records, source, table):
    ledger = clean.ledger.Ledger([records], [table])
    settings_ = clean.settings.Source.model_validate(source)
    frame = ledger.keep(clean.mapping.rows(records, settings_, ledger, 0))
    return [
        {k: v for k, v in r.items() if not k.startswith("_") and isinstance(v, str)} for r in frame.to_dict("records")
    ]


USUAL = {
    "label_studio": [{"feedback_id": "r", "rater_id": "3", "question": "harm", "value": "yes", "seconds_spent": "4.5",
                      "created_at": "2026-01-05T10:00:00Z"}],
    "argilla": [
        {"feedback_id": "i1.harm.u1", "item_id": "i1", "rater_id": "u1", "rater_kind": "human", "question": "harm",
         "value": "yes"},
        {"feedback_id": "i1.harm.u2", "item_id": "i1", "rater_id": "u2", "rater_kind": "human", "question": "harm",
         "value": "a | b"},
        {"feedback_id": "i1.harm.m1", "item_id": "i1", "rater_id": "m1", "rater_kind": "model", "question": "harm",
         "value": "no"}],
    "langfuse": [{"feedback_id": "s1", "item_id": "t1", "rater_id": "u1", "rater_kind": "human", "question": "helpful",
                  "value": "good", "value_text": "ok", "created_at": "2026-01-05T10:00:00.000Z"}],
    "phoenix": [{"feedback_id": "a1", "item_id": "s1", "rater_id": "u1", "rater_kind": "human", "question": "correct",
                 "value": "0.25", "value_text": "hm", "created_at": "2026-01-05T10:00:00Z"}],
    "mlflow": [{"feedback_id": "a1", "item_id": "t1", "rater_id": "u1", "rater_kind": "human", "question": "correct",
                "value": "true", "value_text": "ok", "created_at": "2026-01-05T10:00:00.000000Z"}],
    "langsmith": [{"feedback_id": "f1", "item_id": "r1", "rater_id": "u1", "rater_kind": "human", "question": "correct",
                   "value": "0.5", "value_text": "hm", "correction": '{"output":"42"}',
                   "created_at": "2026-01-05T10:00:00.500000Z"}],
    "open_webui": [{"feedback_id": "f1", "item_id": "c1.m9", "rater_id": "u1", "question": "rating", "value": "1",
                    "value_text": "ok", "model_version": "m1", "created_at": "2026-01-05T10:00:00.000000Z"}],
    "mturk": [
        {"feedback_id": "0.fit", "rater_id": "w1", "question": "fit", "value": "2", "seconds_spent": "90",
         "created_at": "2022-10-08T21:21:47-07:00"},
        {"feedback_id": "0.why", "rater_id": "w1", "question": "why", "value": "because", "seconds_spent": "90",
         "created_at": "2022-10-08T21:21:47-07:00"},
        {"feedback_id": "1.fit", "rater_id": "w2", "question": "fit", "value": "1", "seconds_spent": "60",
         "created_at": "2022-12-10T21:21:47-08:00"}],
    "google_forms": [{"feedback_id": "0", "created_at": "2022-10-05T15:14:15+02:00"},
                     {"feedback_id": "1", "created_at": "2022-10-05T00:14:15-03:30"}],
    "qualtrics": [{"feedback_id": "R_1", "created_at": "2026-01-05 10:01:00", "seconds_spent": "60"}],
    "thumbs": [{"feedback_id": "0", "item_id": "0", "question": "thumb", "value": "up"}],
}  # fmt: skip


@pytest.mark.parametrize("name", USUAL)
def test_an_export_needs_no_mapping_for_what_is_always_so(name):
    assert usual(name) == USUAL[name]


def test_what_is_written_down_goes_before_what_is_usual():
    source = {"name": "s", "table": "feedback", "format": "langfuse", "path": "x", "columns": {"item_id": "sessionId"},
              "values": {"rater_kind": {"API": "human"}}}  # fmt: skip
    made = formats.completed([source])[0]
    assert made["columns"]["item_id"] == "sessionId"
    assert made["columns"]["question"] == "name"
    assert formats.completed([{"name": "s", "table": "items", "format": "csv"}]) == [
        {"name": "s", "table": "items", "format": "csv"}
    ]


def test_pairs_are_comparisons_of_two_items():
    made = usual("preference", table="comparisons")
    assert made[1] == {"comparison_id": "1", "item_a": "1.chosen", "item_b": "1.rejected", "winner": "a"}
    items = usual("preference", table="items")
    assert {"item_id": "1.rejected", "prompt": "why?", "response": "no"} in items
    assert len(items) == 4


def test_flattened_argilla_keeps_its_lists_aligned_and_drops_what_was_discarded():
    read = formats.read(array(FLAT), "argilla", source="a")
    assert read.frame[["question", "value", "user_id", "kind"]].to_numpy().tolist() == [
        ["harm", "yes", "u1", "human"], ["harm", "no", "u2", "human"], ["harm", "no", "m1", "model"]]  # fmt: skip
    assert read.rejects == [(3, "discarded", "")]
    ranked = {
        "id": 1,
        "fields": {},
        "responses": {"r": [{"value": [{"value": "x", "rank": 2}, {"value": "y", "rank": 1}]}]},
    }
    assert formats.read(array(ranked), "argilla", source="a").frame["value"].tolist() == ["y > x"]


def test_langfuse_reads_a_value_by_its_type_and_never_a_stand_in_zero():
    scores = [SCORE | {"dataType": k, "value": v, "stringValue": s} for k, v, s in [
        ("NUMERIC", 0.5, None), ("BOOLEAN", 1, "True"), ("CORRECTION", 0, "better so"), ("TEXT", 0, "long"),
        ("CATEGORICAL", 0, "bad")]]  # fmt: skip
    read = formats.read(orjson.dumps({"data": scores, "meta": {}}), "langfuse", source="l").frame
    assert read["answer"].tolist() == [0.5, "1", None, None, "bad"]
    assert (read["corrected"][2], read["answer_text"][3]) == ("better so", "long")
    page = (
        b"id,traceId,name,dataType,value,stringValue,source,comment,timestamp\ns1,t1,h,BOOLEAN,1.0,,API,,2026-01-05\n"
    )
    assert formats.read(page, "langfuse", source="l").frame["answer"].tolist() == ["1"]


def test_mlflow_takes_exactly_one_of_feedback_and_expectation():
    both = ASSESSMENT | {"expectation": {"value": "x"}}
    broken = ASSESSMENT | {"feedback": {"value": None, "error": {"error_code": "E"}}}
    trace = {"info": {"trace_id": "t9", "assessments": [{k: v for k, v in ASSESSMENT.items() if k != "trace_id"}]}}
    read = formats.read(array(both, broken, trace), "mlflow", source="m")
    assert read.rejects == [(1, "not_a_record", ""), (2, "failed", "")]
    assert read.frame[["trace_id", "answer", "states"]].to_numpy().tolist() == [["t9", True, "feedback"]]


def test_a_whole_conversation_is_never_read_from_open_webui():
    read = formats.read(array(WEBUI), "open_webui", source="w")
    assert "whole conversation" not in read.frame.to_json()
    assert read.frame.loc[0, ["rating", "winner", "other"]].tolist() == [1, "a", "m2"]


def test_label_studio_min_as_json_and_as_csv():
    made = formats.read(array(MIN), "label_studio_min", source="m").frame.loc[0]
    assert made[["harm", "why", "stars"]].tolist() == ["yes", "rude | slow", 4]
    text = 'id,annotator,harm,why\n7,3,yes,"{""choices"": [""rude"", ""slow""]}"\n'
    assert formats.read(text.encode(), "label_studio_min", source="m").frame["why"].tolist() == ["rude | slow"]


def test_a_delimiter_is_declared_and_quotes_work_with_it():
    body = b'a;b\n1;"x;y"\n2;"say ""no"""\n3\n'
    read = formats.read(body, "csv", source="s", delimiter=";")
    assert read.frame.to_numpy().tolist() == [["1", "x;y"], ["2", 'say "no"']]
    assert read.rejects == [(3, "field_count", "")]
    assert formats.read(b"a\tb\n1\tx,y\n", "tsv", source="s").frame.to_numpy().tolist() == [["1", "x,y"]]


def test_integers_beyond_64_bits_stay_two_people():
    body = b'{"u": 123456789012345678901234567890}\n{"u": 123456789012345678901234567891}\n{"u": 9007199254740993}\n'
    assert formats.read(body, "jsonl", source="s").frame["u"].tolist() == [
        "123456789012345678901234567890", "123456789012345678901234567891", 9007199254740993]  # fmt: skip


def test_parquet_types_that_nobody_maps_are_harmless_and_far_times_are_not_near_ones():
    far = pa.array([253402300800000, 0, None], pa.timestamp("ms"))
    table = pa.table({"a": ["x", "y", "z"], "l": [[1], [2], []], "b": pa.array([b"\xff", b"", None], pa.binary()),
                      "t": far, "d": pa.array([10**9, 0, None], pa.date32())})  # fmt: skip
    read = formats.read(parquet(table), "parquet", source="p").frame
    assert read["a"].tolist() == ["x", "y", "z"]
    assert read["t"].tolist() == ["253402300800000 ms since 1970", "1970-01-01T00:00:00.000000", None]
    assert read["d"].tolist() == ["day 1000000000 of 1970", "1970-01-01", None]
    assert read["l"].tolist() == [("list<element: int64>",)] * 3


def test_a_workbook_is_read_by_its_first_sheet_or_the_named_one():
    body = xlsx([["id", "stars"], ["a", 4], [None, None], ["b", 4.5]])
    read = formats.read(body, "xlsx", source="x")
    assert read.frame.to_numpy().tolist() == [["a", "4"], ["b", "4.5"]]
    assert (list(read.lines), read.rejects) == ([1, 3], [(2, "blank_line", "")])
    with pytest.raises(UnknownFormat, match="sheets Answers"):
        formats.read(body, "xlsx", source="x", sheet="Other")


# --- what is written comes back

words = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=12)
ids = st.text("abcXYZ019._-", min_size=1, max_size=8)


@st.composite
def answered(draw):
    """Items and people's answers to questions about them, as clean makes them."""
    names = draw(st.lists(ids, min_size=1, max_size=4, unique=True))
    items = [{"item_id": n, "component": "c", "prompt": draw(words), "response": draw(words)} for n in names]
    keys = draw(
        st.lists(st.tuples(st.sampled_from(names), st.sampled_from(["harm", "fit ok"]), ids), max_size=6, unique=True)
    )
    answers = [
        {"feedback_id": f"f{n}", "item_id": i, "question": q, "rater_id": r, "rater_kind": "human", "channel": "x",
         "component": "c", "value": draw(st.one_of(words, st.integers(-5, 100).map(str), st.just("0.5"))),
         "created_at": pd.Timestamp(draw(st.integers(0, 10**9)), unit="s", tz="UTC")}
        for n, (i, q, r) in enumerate(keys)
    ]  # fmt: skip
    empty = pd.DataFrame(
        answers, columns=[c.name for c in schema.FEEDBACK.columns if c.required] + ["value", "rater_id", "created_at"]
    )
    return schema.shape(pd.DataFrame(items), schema.ITEMS), schema.shape(empty, schema.FEEDBACK)


CARRIED = {
    "label_studio": ["feedback_id", "item_id", "question", "rater_id", "value"],
    "argilla": ["item_id", "question", "rater_id", "value"],
    "langfuse": ["feedback_id", "item_id", "question", "rater_id", "value"],
}


@pytest.mark.parametrize("name", CARRIED)
@settings(max_examples=60, deadline=None)
@given(made=answered())
def test_answers_that_are_written_come_back(name, made):
    items, feedback = made
    data = formats.FORMATS[name].write(items, feedback)
    source = formats.completed([{"name": "s", "table": "feedback", "format": name, "path": "x"}])[0]
    source["columns"] = {"item_id": "data.item_id", **source["columns"]}
    source["missing"] = []
    records = formats.read(data, name, source="s")
    assert {r for _, r, _ in records.rejects} <= {"empty", "not_a_record"}
    back = rows(records, source, "feedback") if len(records.frame) else []
    columns = CARRIED[name]
    expected = sorted([r[c] for c in columns] for r in feedback.to_dict("records"))
    assert sorted([r[c] for c in columns] for r in back) == expected


@settings(max_examples=60, deadline=None)
@given(made=answered(), ups=st.lists(st.booleans(), min_size=6, max_size=6))
def test_thumbs_that_are_written_come_back(made, ups):
    items, feedback = made
    feedback = feedback.assign(value=np.where(ups[: len(feedback)], "up", "down"))
    data = formats.FORMATS["thumbs"].write(items, feedback)
    if not len(feedback):
        assert data == b""
        return
    read = formats.read(data, "thumbs", source="s").frame
    by_id = items.set_index("item_id")
    for r, a in zip(read.to_dict("records"), feedback.sort_values("feedback_id").to_dict("records"), strict=True):
        item = by_id.loc[a["item_id"]]
        assert (r["prompt"], r["completion"], r["label"]) == (item["prompt"], item["response"], a["value"])


@settings(max_examples=40, deadline=None)
@given(made=answered(), winner=st.sampled_from(["a", "b", "tie"]))
def test_preferences_that_are_written_come_back_and_ties_are_left_out(made, winner):
    items, _ = made
    one, other = items["item_id"].iloc[0], items["item_id"].iloc[-1]
    compared = pd.DataFrame({"comparison_id": ["k"], "item_a": [one], "item_b": [other], "winner": [winner]})
    data = formats.FORMATS["preference"].write(items, compared)
    if winner == "tie":
        assert data == b""
        return
    read = formats.read(data, "preference", source="s").frame.loc[0]
    texts = items.set_index("item_id")["response"]
    assert (read["chosen"], read["rejected"]) == (
        (texts[one], texts[other]) if winner == "a" else (texts[other], texts[one])
    )


def test_a_package_may_add_a_format(monkeypatch):
    class Entry:
        name = "pairs"

        def load(self):
            return Format(lambda data, source: formats.FORMATS["csv"].read(data.replace(b"=", b","), source))

    monkeypatch.setattr(formats.metadata, "entry_points", lambda group: [Entry()] if group == "hfkit.formats" else [])
    assert formats.read(b"a=b\n1=2\n", "pairs", source="s").frame.to_numpy().tolist() == [["1", "2"]]
    with pytest.raises(UnknownFormat, match="pairs"):
        formats.read(b"", "pears", source="s")


def test_json_in_every_shape_says_the_same():
    records = [{"a": 1, "b": {"c": "x"}}, {"a": 2, "b": {"c": "y"}}]
    lines = b"\n".join(orjson.dumps(r) for r in records)
    shapes = [array(*records), orjson.dumps({"data": records, "meta": {"page": 1}}), lines]
    for body in shapes[:2]:
        assert formats.read(body, "json", source="s").frame.to_numpy().tolist() == [[1, "x"], [2, "y"]]
    with pytest.raises(UnknownFormat, match="format: jsonl"):
        formats.read(lines, "json", source="s")
    with pytest.raises(UnknownFormat, match="format: json"):
        formats.read(shapes[0], "jsonl", source="s")
    with pytest.raises(UnknownFormat, match="a key twice"):
        formats.read(b'[{"a": 1, "a": 2}]', "json", source="s")
    assert json.loads(shapes[0]) == records
