# ruff: noqa: E501 - files as literals
"""Files made to break a reader: each ends with one sentence or a reject, in a process of its own with 2 GB of memory."""

import subprocess
import sys
from pathlib import Path

import pytest

CASES = {
    "300,000 keys in a line": (
        "jsonl", "b'{' + b','.join(b'\"k%d\": 1' % i for i in range(300_000)) + b'}\\n{\"id\": \"a\", \"v\": 2}\\n'", "too_many_keys"),
    "a key of its own in each line": (
        "jsonl", "b'\\n'.join(b'{\"k%d\": 1}' % i for i in range(300_000))", "different keys"),
    "a quote that stays open for 20 MB": ("csv", "b'id,v\\na,2\\n\"' + b'x' * 20_000_000", "too_long"),
    "a quote that stays open over many lines": ("csv", "b'id,v\\na,2\\n\"' + b'x\\n' * 1_000_000", "quote"),
    "a field of 100 MB": ("csv", "b'id,v\\na,2\\n\"' + b'x' * 100_000_000 + b'\",2\\n'", "too_long"),
    "a JSON string of 100 MB": (
        "jsonl", "b'{\"id\": \"a\", \"v\": 2}\\n{\"id\": \"b\", \"v\": \"' + b'x' * 100_000_000 + b'\"}\\n'", "too_long"),
    "100 kB of digits": ("jsonl", "b'{\"id\": \"a\", \"v\": 2}\\n{\"id\": \"b\", \"v\": ' + b'7' * 100_000 + b'}\\n'", "not_json"),
    "100 kB of digits in quotes": ("csv", "b'id,v\\na,2\\nb,' + b'7' * 99_000 + b'\\n'", ""),
    "objects in objects": ("jsonl", "b'{\"a\":' * 100_000 + b'1' + b'}' * 100_000 + b'\\n{\"id\": \"a\", \"v\": 2}\\n'", "not_json"),
    "lists in lists": ("json", "b'[' * 1_000_000 + b']' * 1_000_000", "depth"),
    "300,000 columns": ("csv", "b','.join(b'c%d' % i for i in range(300_000)) + b'\\n'", "5,000 names"),
    "a workbook with a cell in the far corner": (
        "xlsx", "corner()", "20,000,000 cells"),
    "a workbook that unpacks a thousandfold": ("xlsx", "bomb()", "unpacked"),
    "a Parquet file of lists in lists": ("parquet", "nested()", "2 type"),
}  # fmt: skip

SCRIPT = """
import io, resource, sys, zipfile
resource.setrlimit(resource.RLIMIT_AS, (6_000_000_000, 6_000_000_000))  # addresses, of which libraries reserve many
import pyarrow as pa, pyarrow.parquet as pq
sys.path.insert(0, {folder!r})
from test_formats_outside import xlsx
from hfkit import clean, formats
from hfkit.shared.errors import HfkitError

def corner():
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(xlsx([["id", "v"], ["a", 1]]))) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b'r="B2"', b'r="XFD1048576"'))
    return out.getvalue()

def bomb():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("xl/worksheets/sheet1.xml", b"0" * 50_000_000)
    return out.getvalue()

def nested():
    value = 1
    for _ in range(20):
        value = [value]
    out = pa.BufferOutputStream()
    pq.write_table(pa.table({{"id": ["a", "b"], "v": [value, value]}}), out)
    return out.getvalue().to_pybytes()

data = {data}
item = b"id,part,score\\ni1,c,0.9\\n"
component = dict(component="c", event="e", threshold=0.5, cost_false_alarm=1.0, cost_miss=1.0, effort_days=1.0)
rubric = dict(question="q", component="item", states="truth", positive=["2"], negative=["1"])
sources = [
    dict(name="log", table="items", path="l", format="csv", columns=dict(item_id="id", component="part", score="score")),
    dict(name="votes", table="feedback", path="v", format={format!r},
         columns=dict(feedback_id="id", item_id="=i1", question="=q", value="v")),
]
try:
    votes = formats.read(data, {format!r}, source="votes")
    made = clean.clean([formats.read(item, "csv", source="log"), votes], sources=sources, components=[component],
                       rubric=[rubric], run_date="2026-07-06", consent=clean.consented({{}}, True))
    books = made.accounts.set_index("source").loc["votes"]
    assert books["read"] == books["kept"] + books["rejected"]
    print("kept", books["kept"], sorted(set(made.rejects["reason"])))
except HfkitError as e:
    print(str(e).splitlines()[0])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < 2_000_000_000)
"""


@pytest.mark.parametrize("name", CASES)
def test_a_vast_file_ends_with_a_sentence_or_a_reject(name):
    kind, data, words = CASES[name]
    script = SCRIPT.format(format=kind, data=data, folder=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=False)
    lines = done.stdout.splitlines()
    assert len(lines) == 2, done.stderr[-2000:]
    assert words in lines[0]
    assert len(lines[0]) < 400
    assert lines[1] == "True"
