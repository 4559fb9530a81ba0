# ruff: noqa: E501 - one example a line
"""`hfkit init`: on unknown exports it is right, or asks; and what it proposes can be read by clean."""

from pathlib import Path

import orjson
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from test_formats_outside import (
    ASSESSMENT,
    FLAT,
    LANGSMITH,
    MIN,
    MTURK,
    PAIR,
    QUALTRICS,
    SCORE,
    SPAN,
    TASK,
    THUMB,
    WEBUI,
)

from hfkit import clean, cli, formats
from hfkit.commands.start import guess, init, propose

DATA = Path(__file__).parents[2] / "shared" / "data"


def proposed(*files):
    text, asks = init.proposal([DATA / f if isinstance(f, str) else f for f in files])
    return yaml.safe_load(text)["clean"], asks


def source(section, table):
    return next(s for s in section["sources"] if s["table"] == table)


def cleaned(section, *files):
    """The proposal as it stands, read by clean once consent is declared and each question has a meaning."""
    rubric = [r | ({} if r["positive"] else {"positive": ["1"], "negative": ["0"]}) for r in section["rubric"]]
    sources = formats.completed(section["sources"])
    by_name = {f.name: f.read_bytes() for f in files}
    records = []
    for s in sources:
        options = {k: s[k] for k in ("delimiter", "sheet") if s.get(k)}
        read = formats.read(by_name[s["path"]], s["format"], source=s["name"], **options)
        records.append(formats.below_header(read, s.get("header_rows", 1)))
    return clean.clean(records, sources=sources, components=section["components"], rubric=rubric, run_date="2026-12-31",
                       consent=clean.consented({}, True), private=clean.Privacy(secret=lambda: b"k" * 32))  # fmt: skip


@pytest.mark.skipif(not DATA.is_dir(), reason="shared/data is absent")
@pytest.mark.parametrize(
    ("name", "item", "rater", "asked"),
    [
        ("popquorn/offensiveness_ratings.csv", "instance_id", "user_id", {"offensiveness": "ordinal"}),
        ("crowd_labels/CF_amt.csv", "task", "worker", {"label": "nominal"}),
        ("crowd_labels/MS.csv", "task", "worker", {"label": "nominal"}),
        ("crowd_labels/SP.csv", "task", "worker", {"label": "binary"}),
        ("crowd_labels/ZenCrowd_all.csv", "task", "worker", {"label": "binary"}),
        ("crowd_labels/barzan_answers.csv", "task", "worker", {"label": "binary"}),
        ("halie/metaphor_survey_responses.csv", "session_id", "worker_id", dict.fromkeys(
            ["fluency", "helpfulness", "ease", "enjoyment", "satisfaction", "ownership", "reuse"], "ordinal")),
        ("halie/crossword_survey_responses.csv", "session_id", "worker_id", dict.fromkeys(
            ["fluency", "helpfulness", "ease", "joy"], "ordinal")),
        ("halie/question_survey_responses.csv", "session_id", "worker_id", dict.fromkeys(
            ["fluency", "helpfulness", "ease"], "ordinal")),
        ("halie/summarization_survey_responses.csv", "session_id", "worker_id", dict.fromkeys(
            ["improvement", "edit", "helpfulness"], "ordinal")),
        ("halie/summarization_third_party_mturk_batch1.csv", "@row", "WorkerId", {
            "coherence": "nominal", "consistency": "binary", "relevance": "nominal"}),
    ],
)  # fmt: skip
def test_answers_are_recognised_with_their_item_rater_and_level(name, item, rater, asked):
    section, asks = proposed(name)
    answers = source(section, "feedback")
    assert (answers["columns"]["item_id"], answers["columns"]["rater_id"]) == (item, rater)
    assert {r["question"]: r["level"] for r in section["rubric"]} == asked
    made = cleaned(section, DATA / name)
    assert len(made.feedback) > 0.9 * len(formats.read((DATA / name).read_bytes(), answers["format"], source="s").frame)
    for question in asked:
        assert any(question in ask for ask in asks)  # never certain of what an answer means


@pytest.mark.skipif(not DATA.is_dir(), reason="shared/data is absent")
@pytest.mark.parametrize("file", sorted(DATA.glob("*/*.csv*")), ids=lambda f: f.name)
def test_what_is_not_mapped_is_listed_and_what_is_mapped_is_there(file):
    section, asks = proposed(file)
    names = [str(c) for c in guess.look(file.name, file.read_bytes()).columns]
    listed = " ".join(asks)
    for s in section["sources"]:
        for spec in s["columns"].values():
            for slot in clean.mapping.named(spec):
                assert slot in names or slot in (
                    "@row",
                    s.get("unpivot", {}).get("into"),
                    s.get("unpivot", {}).get("value"),
                )
    if not section["sources"]:
        assert "it is not used" in listed
    assert "consent" in listed
    assert "components" in listed


@pytest.mark.skipif(not DATA.is_dir(), reason="shared/data is absent")
def test_several_files_join_and_a_log_of_decisions_is_known():
    files = [DATA / "popquorn" / f for f in ("offensiveness_ratings.csv", "offensiveness_model_v0_predictions.csv")]
    section, _ = proposed(*files)
    assert {(s["path"], s["table"]) for s in section["sources"]} == {
        (files[0].name, "feedback"), (files[0].name, "items"), (files[0].name, "raters"), (files[1].name, "items")}  # fmt: skip
    made = cleaned(section, *files)
    assert (len(made.items), len(made.feedback), len(made.raters)) == (1500, 13036, 262)
    assert made.items["score"].notna().all()
    assert set(made.raters.columns) >= {"cohort.gender", "cohort.race", "cohort.age"}
    log, asks = proposed("obd_all/all_bts.csv.gz")
    assert source(log, "items")["columns"]["action"] == "item_id"
    assert any("a log of decisions" in a for a in asks)


@pytest.mark.parametrize(
    ("content", "format"),
    [(orjson.dumps([r]), f) for r, f in [
        (TASK, "label_studio"), (MIN, "label_studio_min"), (SCORE, "langfuse"), (SPAN, "phoenix"), (ASSESSMENT, "mlflow"),
        (LANGSMITH, "langsmith"), (WEBUI, "open_webui"), (PAIR, "preference"), (THUMB, "thumbs"),
        ({"id": 1, "fields": {}, "responses": {}}, "argilla"), ({"a": 1}, "json")]]
    + [(b'{"a": 1}\n{"a": 2}\n', "jsonl"), (b'{"data": [{"traceId": "t", "dataType": "x"}]}', "langfuse"),
       (MTURK, "mturk"), (QUALTRICS, "qualtrics"), (b"Timestamp,Q\n1,2\n", "google_forms"), (b"a,b\n1,2\n", "csv"),
       (orjson.dumps(THUMB) + b"\n" + orjson.dumps(THUMB), "thumbs")],
)  # fmt: skip
def test_the_format_is_told_by_content_not_by_name(content, format):
    assert guess.look("export.bin", content).format == format


def test_a_delimiter_is_seen_and_unknown_shapes_are_asked_about():
    look = guess.look("x.csv", b"user;item;stars\nu1;i1;4\n")
    assert (look.format, look.options) == ("csv", {"delimiter": ";"})
    assert [look.columns[c].role for c in ("user", "item", "stars")] == ["rater_id", "item_id", "value"]
    section, asks = propose.section([guess.look("y.csv", b"alpha,beta\n1,2\n")])
    assert section["sources"] == []
    assert any("'alpha', 'beta'" in a for a in asks)
    assert FLAT["id"] == "i1"


def test_the_command_makes_a_workspace_and_never_writes_into_an_old_one(tmp_path):
    export = tmp_path / "votes.csv"
    pd.DataFrame(
        {"user": ["u1", "u2"] * 20, "item": [f"i{k}" for k in range(40)], "thumb": ["up", "down"] * 20}
    ).to_csv(export, index=False)
    out = CliRunner().invoke(cli.cli, ["init", str(tmp_path / "w"), "--from", str(export)])
    assert out.exit_code == 0, out.output
    assert "Answer these questions" in out.output
    assert (tmp_path / "w" / "data" / "raw" / "votes.csv").read_bytes() == export.read_bytes()
    text = (tmp_path / "w" / "params.yaml").read_text("utf-8")
    assert text.startswith("# Proposed by hfkit init")
    assert "# ASK 1." in text
    again = CliRunner().invoke(cli.cli, ["init", str(tmp_path / "w"), "--from", str(export)])
    assert "a new folder" in str(again.exception)
