# ruff: noqa: E501 - tables as literals
"""`hfkit forget`: one person out of every format, cache, remote and page; others byte for byte as they were."""

import gzip
import io
import json
import subprocess

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import ROOT, Loop

from hfkit import clean, formats
from hfkit.commands import traces
from hfkit.formats import redact

ANN = "ann.smith@example.org"
SECRET = "the red bicycle in my yard was never delivered"


# --- one file


def test_csv_keeps_the_others_byte_for_byte():
    body = b'\xef\xbb\xbfid;t\r\n1;"a;\n b"\r\n2;x\r\nbad\r\n3;"y"'
    assert redact.without(body, {1, 3}, {}, source="s", delimiter=";") == b'\xef\xbb\xbfid;t\r\n2;x\r\n3;"y"'
    packed = gzip.compress(b"a,b\n1,2\n3,4\n")
    assert gzip.decompress(redact.without(packed, {2}, {}, source="s")) == b"a,b\n1,2\n"


def test_json_loses_the_smallest_list_element_of_the_person():
    lines = b'{"u": {"id": 7}, "n": 1.50}\n{"u": {"id": 8}, "n": 1.50}\n'
    assert redact.without(lines, set(), {"u.id": {"7"}}, source="s") == b'{"u": {"id": 8}, "n": 1.50}\n'
    task = [{"id": 7, "data": {"t": "x"}, "annotations": [{"id": 1, "completed_by": 7}, {"id": 2, "completed_by": 8},
                                                         {"id": 3, "completed_by": {"id": 7, "email": "e"}}]}]  # fmt: skip
    left = json.loads(redact.without(orjson.dumps(task), set(), {"completed_by": {"7"}}, source="s"))
    assert left == [{"id": 7, "data": {"t": "x"}, "annotations": [{"id": 2, "completed_by": 8}]}]
    envelope = b'{"data": [{"user_id": "a"}, {"user_id": "b"}]}'
    assert json.loads(redact.without(envelope, set(), {"user_id": {"a"}}, source="s")) == {"data": [{"user_id": "b"}]}


def test_parquet_loses_rows_and_keeps_types():
    out = pa.BufferOutputStream()
    table = pa.table({"u": ["a", "b", "a"], "n": pa.array([1, 2, 3], pa.int8()), "l": [[1], [2], [3]]})
    pq.write_table(table, out)
    left = pq.read_table(io.BytesIO(redact.without(out.getvalue().to_pybytes(), {1, 3}, {}, source="s")))
    assert left.equals(table.slice(1, 1))


def test_traces_are_seen_in_parquet_gzip_and_zip(tmp_path):
    needles = traces.Needles(frozenset({SECRET, "u77"}), lambda name: name == "7")
    pq.write_table(pa.table({"t": ["x", SECRET]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"rater_id": ["7", "8"]}), tmp_path / "b.parquet")
    pq.write_table(pa.table({"n": ["7"], "t": ["xu77 u777"]}), tmp_path / "clean.parquet")
    (tmp_path / "c.gz").write_bytes(gzip.compress(SECRET.encode()))
    (tmp_path / "d.html").write_text(f"<p>{SECRET}</p>")
    assert [p.rsplit("/", 1)[1] for p in traces.scan([tmp_path], needles)] == [
        "a.parquet",
        "b.parquet",
        "c.gz",
        "d.html",
    ]


def test_a_forgotten_person_stays_out_of_later_exports_under_every_spelling():
    key = b"k" * 32
    records = [("1.json", {"person": clean.digest("0101", key)})]
    erased = clean.erasure.erased(clean.forgotten(records), lambda: key)
    assert [erased(clean.consent.person(n)) for n in ("101", "101.0", " 00101", "1010")] == [True, True, True, False]


# --- the whole way


def world(folder):
    """A small world: items as Parquet, thumbs as JSON lines (packed), stars as CSV, raters; Ann in all of them."""
    rng = np.random.default_rng(0)
    n, people = 80, [ANN, *(f"u{k}" for k in range(11))]
    score = rng.random(n)
    event = rng.random(n) < score
    out = folder / "data"
    out.mkdir(parents=True)
    items = pd.DataFrame({"id": [f"i{k}" for k in range(n)], "score": score, "text": [f"reply {chr(97 + k % 26)}{chr(97 + k // 26)}{chr(97 + k % 7)} to somebody" for k in range(n)],
                          "served": [ANN if k < 3 else f"s{k}" for k in range(n)]})  # fmt: skip
    items.to_parquet(out / "items.parquet", index=False)
    who = rng.choice(people, 4 * n)
    item = rng.integers(3, n, 4 * n)
    up = event[item] ^ (rng.random(4 * n) < 0.1)
    comments = [SECRET if p == ANN else "fine by me" for p in who]
    thumbs = [{"id": f"t{k}", "reply": f"i{item[k]}", "user": {"mail": who[k]}, "thumb": "yes" if up[k] else "no",
               "comment": comments[k]} for k in range(2 * n)]  # fmt: skip
    (out / "thumbs.jsonl.gz").write_bytes(gzip.compress(b"".join(orjson.dumps(t) + b"\n" for t in thumbs)))
    stars = pd.DataFrame({"id": [f"v{k}" for k in range(2 * n)], "reply": [f"i{k}" for k in item[2 * n :]],
                          "panelist": [p.upper() for p in who[2 * n :]], "event": np.where(up[2 * n :], "yes", "no")})  # fmt: skip
    stars.to_csv(out / "stars.csv", index=False)
    pd.DataFrame({"rater": people, "consent": "granted", "age": rng.choice(["young", "old"], 12)}).to_csv(
        out / "raters.csv", index=False
    )


def parameters():
    votes = {"item_id": "reply", "question": "=event"}
    return {
        "project": {"name": "Test", "min_people": 5},
        "clean": {
            "run_date": "2026-07-06", "assume_consent": ["training", "evaluation"],
            "sources": [
                {"name": "items", "table": "items", "path": "items.parquet", "format": "parquet",
                 "columns": {"item_id": "id", "component": "=c", "score": "score", "text": "text", "unit_id": "served"}},
                {"name": "thumbs", "table": "feedback", "path": "thumbs.jsonl.gz", "format": "jsonl",
                 "columns": votes | {"feedback_id": "id", "rater_id": "user.mail", "value": "thumb", "value_text": "comment"}},
                {"name": "stars", "table": "feedback", "path": "stars.csv", "format": "csv",
                 "columns": votes | {"feedback_id": "id", "rater_id": "panelist", "value": "event"}},
                {"name": "raters", "table": "raters", "path": "raters.csv", "format": "csv",
                 "columns": {"rater_id": "rater", "consent": "consent", "cohort.age": "age"}},
            ],
            "components": [{"component": "c", "event": "it is wrong", "threshold": 0.5, "cost_false_alarm": 1.0,
                            "cost_miss": 1.0, "effort_days": 1.0}],
            "rubric": [{"question": "event", "component": "item", "states": "truth", "positive": ["yes"], "negative": ["no"]}],
        },
        "retrain": {"min_labels": 20},
    }  # fmt: skip


@pytest.mark.loop
def test_a_person_is_forgotten_in_every_file_and_nobody_else_is(tmp_path):
    world(tmp_path)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(parameters()), "utf-8")
    made = Loop(ROOT)
    root = tmp_path / "w"
    made("hfkit", "workspace", str(root), "--params", str(tmp_path / "params.yaml"), "--data", str(tmp_path / "data"))
    made.root = root
    rooms = yaml.safe_load((root / "dvc.yaml").read_text("utf-8"))
    rooms["stages"] = {
        name: rooms["stages"][name] for name in ("clean", "audit", "aggregate")
    }  # the rest: make campaign
    (root / "dvc.yaml").write_text(yaml.safe_dump(rooms, sort_keys=False), "utf-8")
    made("dvc", "repro", "-q")
    made("dvc", "remote", "add", "-d", "store", str(tmp_path / "store"))
    made("dvc", "push", "-q")
    sources = parameters()["clean"]["sources"]
    before = {
        s["name"]: formats.read((root / "data/raw" / s["path"]).read_bytes(), s["format"], source="s") for s in sources
    }
    pseudonym = clean.privacy.pseudonym(ANN, (root / "data" / "private.key").read_bytes())
    old = traces.Needles(frozenset({pseudonym, SECRET}), lambda name: False)
    assert len(traces.scan([root / "data" / "clean", root / ".dvc"], old)) >= 2  # it was there
    assert traces.scan([tmp_path / "store"], old)
    out = made("env", f"HFKIT_ROOT={root}", "hfkit", "forget", ANN.upper(), "--yes")
    assert "no trace of the person is left" in out
    assert "measures changed" in out
    assert "not reached: copies outside this project" in out
    needles = traces.Needles(frozenset({ANN, ANN.upper(), pseudonym, SECRET}), lambda name: False)
    assert traces.scan([root, tmp_path / "store"], needles) == []
    for s in sources:
        left = formats.read((root / "data/raw" / s["path"]).read_bytes(), s["format"], source="s").frame
        person = next(c for c in ("served", "user.mail", "panelist", "rater") if c in left)
        others = before[s["name"]].frame
        others = others[others[person].str.lower() != ANN].reset_index(drop=True)
        pd.testing.assert_frame_equal(left, others)
    record = json.loads((root / "data/ledger/forgotten/0001.json").read_text("utf-8"))
    assert record["files"]["raters.csv"]["records"] == 1
    assert ANN not in json.dumps(record)
    assert "expected a rater" in made("env", f"HFKIT_ROOT={root}", "hfkit", "forget", "nobody", "--yes", ok=False)
    with (root / "data/raw/raters.csv").open("a") as f:  # the next export has her again
        f.write(f"{ANN},granted,old\n")
    made("dvc", "repro", "-q", "clean")
    assert pseudonym not in set(pd.read_parquet(root / "data/clean/raters.parquet")["rater_id"])
    rejects = pd.read_parquet(root / "data/clean/rejects.parquet")
    assert rejects.loc[rejects["source"] == "raters", "reason"].tolist() == ["withdrawn"]
    assert subprocess.run(["git", "-C", str(root), "status"], capture_output=True, check=False).returncode


def test_a_trace_in_a_later_part_of_a_gzip_file_is_seen(tmp_path):
    (tmp_path / "log.gz").write_bytes(gzip.compress(b"first part\n") + gzip.compress(SECRET.encode()))
    assert len(traces.scan([tmp_path], traces.Needles(frozenset({SECRET}), lambda name: False))) == 1
