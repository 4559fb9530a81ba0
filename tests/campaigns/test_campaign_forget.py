"""A rater of the sample world, who answered in several formats, is forgotten: the whole loop, and a search."""

import json
import shutil

import pandas as pd
from conftest import MADE, ROOT, TREE, lay_out

from hfkit import formats
from hfkit.commands import traces
from hfkit.shared.params import load


def test_a_rater_of_the_sample_world_is_forgotten(tmp_path):
    made = lay_out(tmp_path / "p", TREE + MADE)
    shutil.copyfile(ROOT / ".gitignore", made.root / ".gitignore")
    made("git", "init", "-q")
    made("dvc", "repro", "-q")
    answers = pd.read_parquet(made.root / "data/clean/feedback.parquet", columns=["rater_id", "source"])
    trained = answers.loc[answers["source"] == "annotation", "rater_id"].mode()[0]  # a Label Studio annotator
    held = int((answers["rater_id"] == trained).sum())
    before = traces.scan([made.root / "data", made.root / ".dvc"], traces.Needles(frozenset(), lambda n: n == trained))
    out = made("hfkit", "forget", trained, "--yes")
    print(held, "answers;", len(before), "files before;", out[:1500])
    assert "no trace of the person is left" in out
    assert traces.scan([made.root], traces.Needles(frozenset(), lambda n: n == trained)) == []
    after = pd.read_parquet(made.root / "data/clean/feedback.parquet", columns=["rater_id"])
    assert len(after) == len(answers) - held
    annotation = next(s for s in load(made.root / "params.yaml")["clean"]["sources"] if s["name"] == "annotation")
    left = formats.read((made.root / "data/raw" / annotation["path"]).read_bytes(), annotation["format"], source="s")
    assert trained.removeprefix("r") not in left.frame["completed_by"].astype(str).tolist()
    assert json.loads((made.root / "data/ledger/forgotten/0001.json").read_text("utf-8"))["files"]
