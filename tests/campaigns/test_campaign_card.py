"""The card under attack: whole loops of twenty other sample worlds, and two hundred withdrawals, one at a time.

HFKIT_CAMPAIGN=1 python -m pytest tests/campaigns/test_campaign_card.py -o testpaths= -q -s
"""

import json

import numpy as np
import pytest
from attack import attack
from test_card import MARGIN, made

from hfkit.card.protect import Rounding
from hfkit.shared import tables

SOURCES = {
    "clean": ("feedback", "raters", "items", "rejects"), "aggregate": ("labels", "judgements"), "audit": ("coverage",),
    "fairness": ("evidence", "groups", "main_rows"), "retrain": ("training",),
}  # fmt: skip


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(1, 21))
def test_another_worlds_card_gives_no_suppressed_count_away(scratch, seed):
    scratch("git", "init", "-q")
    scratch("hfkit", "sample", "--items", "1500", "--seed", str(seed), "--out", "data/raw", "--overwrite")
    scratch("dvc", "repro", "-q", "card")
    given_away, hidden = attack(json.loads((scratch.root / "data/card/card.json").read_text("utf-8")), MARGIN)
    print(f"\n| seed {seed} | {len(given_away)} of {len(hidden)} suppressed counts recovered |")
    assert given_away == {}


@pytest.mark.timeout(3600)
def test_editions_around_one_withdrawal_point_at_nobody(loop, monkeypatch):
    """Without the person, labels are what the others say; a count that moves in print would tell about the person."""
    monkeypatch.setattr(tables, "ROOT", loop.root)
    given = {name: tables.read(room, name) for room, names in SOURCES.items() for name in names}
    _, rows, before = made(given, Rounding())
    people = given["judgements"]["rater_id"].dropna().unique()
    chosen, located, changed = np.random.default_rng(1).choice(people, 200, replace=False), 0, 0
    for gone in chosen:
        left = {n: given[n][given[n]["rater_id"] != gone] for n in ("feedback", "raters", "judgements")}
        votes = left["judgements"].groupby(["component", "item_id"])["label"].mean()
        key = list(zip(given["main_rows"]["component"], given["main_rows"]["item_id"], strict=True))
        event = votes.reindex(key).to_numpy()
        main = given["main_rows"][~np.isnan(event)].assign(event=(event[~np.isnan(event)] >= 0.5).astype(int))
        _, _, after = made({**given, **left, "main_rows": main}, Rounding(), last=rows, date="later")
        _, _, naive = made({**given, **left, "main_rows": main}, Rounding())
        located += after["rows"] != before["rows"]
        changed += [r["counts"] for r in naive["rows"]] != [r["counts"] for r in before["rows"]]
    print(f"\n| 200 withdrawals | {located} change the card; printed anew, {changed} would |")
    assert located == 0
    assert changed > 20
