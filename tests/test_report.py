"""report: the overview counts what the rooms wrote."""

from __future__ import annotations

from hfkit import report
from hfkit.shared import evidence as ev
from hfkit.shared import rooms


def evidence():
    rows = [ev.row("a", value=1.0, n=1, verdict=v) for v in ("fail", "pass", "pass", "inconclusive", "info")]
    return ev.table(rows).assign(room=["retrain", "retrain", "audit", "audit", "audit"])


def test_every_room_before_the_report_has_a_question():
    assert tuple(report.BEFORE) == rooms.NAMES[:-1]
    assert all(q.endswith("?") for q in report.BEFORE.values())


def test_overview_counts_verdicts_and_keeps_every_room():
    table = report.overview({"audit": "fine"}, evidence()).set_index("room")
    assert len(table) == 13
    assert table.loc["audit", ["pass", "fail", "inconclusive"]].tolist() == [1, 0, 1]
    assert table.loc["retrain", ["pass", "fail", "inconclusive"]].tolist() == [1, 1, 0]
    assert table.loc["monitor", ["answer", "pass"]].tolist() == ["not answered yet", 0]


def test_standing_keeps_the_order_of_the_loop():
    rows = evidence()
    rows.loc[0, "room"] = "monitor"
    rows.loc[3, "verdict"] = "fail"
    assert report.standing(rows, "fail")["room"].tolist() == ["audit", "monitor"]


def test_overview_of_nothing_is_all_zeros():
    table = report.overview({}, evidence().iloc[:0])
    assert int(table[["pass", "fail", "inconclusive"]].to_numpy().sum()) == 0
