"""Room card: what may people outside know, and what was done with the feedback?

The one page that is for the public. Its exact counts (`sheet`) are suppressed, rounded and attacked (`protect`), rows
that few people moved since stay as last published (`editions`), rates follow from what is printed (`record`), and
`page` says it in words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from hfkit.card import editions
from hfkit.card.page import about, by_group, headline, heard_table, how_used, limits, picture, requirements, worse
from hfkit.card.protect import Rounding
from hfkit.card.record import Row, add_verdicts, heard, judged, rows, widening
from hfkit.card.sheet import Sheet, add_decisions, add_heard, add_usage
from hfkit.shared.measures import RATES

__all__ = [
    "Rounding", "about", "by_group", "exact", "headline", "heard", "heard_table", "how_used", "last_edition", "limits",
    "margins", "period", "picture", "protected", "record", "requirements", "worse",
]  # fmt: skip
Tables = Mapping[str, pd.DataFrame]


def margins(fairness: Mapping[str, Any]) -> dict[str, float]:
    """The margin of each rate, from the parameters of room fairness."""
    return {m.name: float(fairness["margins"].get(m.name, fairness["margin"])) for m in RATES}


def published(feedback: pd.DataFrame) -> pd.DataFrame:
    """The answers whose raters agreed that they count in public."""
    return feedback[feedback["for_publication"].eq(1)]


def exact(tables: Tables, margin: Mapping[str, float], min_ratio: float) -> Sheet:
    """All exact counts of the card with what is known of them, from the tables of the rooms (never printed)."""
    sheet, public = Sheet(), published(tables["feedback"])
    verdicts = judged(tables["evidence"], tables["coverage"])
    add_decisions(sheet, tables["main_rows"], verdicts)
    add_verdicts(sheet, verdicts, margin)
    others = {name: tables[name] for name in ("rejects", "items", "labels", "training")}
    add_usage(sheet, feedback=public, **others)
    people = editions.answers(public[public["rater_kind"] == "human"], tables["raters"], tables["items"])
    people = people.dropna(subset="rater_id").drop_duplicates("rater_id")
    add_heard(sheet, tables["coverage"], people, min_ratio)
    return sheet


def protected(sheet: Sheet, tables: Tables, rounding: Rounding, *, last: Sequence[Row], date: str) -> list[Row]:
    """The rows of the card as they may be printed; those that few people moved since stay as in the `last` edition."""
    names = list(dict.fromkeys(key[:3] for key in sheet.counts))
    behind = editions.answers(published(tables["feedback"]), tables["raters"], tables["items"])
    marks = editions.marks(
        names, editions.tested(tables["judgements"], tables["main_rows"]), behind, editions.served(tables["items"])
    )
    verdicts = judged(tables["evidence"], tables["coverage"])
    return rows(sheet, verdicts, widening(tables["groups"]), rounding, marks=marks, last=last, date=date)


def last_edition(records: Iterable[tuple[str, Any]]) -> list[Row]:
    """The rows of the newest edition in data/ledger/editions; none where nothing was published."""
    newest: Mapping[str, Any] = max((r for _, r in records), key=lambda r: int(r["edition"]), default={"rows": []})
    return list(newest["rows"])


def period(items: pd.DataFrame, feedback: pd.DataFrame) -> tuple[str, str]:
    """First and last day of what was served and answered; empty where nothing is dated.

    >>> day = pd.DataFrame({"served_at": pd.to_datetime(["2026-01-05"]), "created_at": pd.to_datetime(["2026-02-01"])})
    >>> period(day, day)
    ('2026-01-05', '2026-02-01')
    """
    days = pd.concat([items["served_at"], feedback["created_at"]]).dropna()
    return (str(days.min().date()), str(days.max().date())) if len(days) else ("", "")


def record(
    card: Sequence[Row], project: Mapping[str, Any], release: Mapping[str, Any], rules: pd.DataFrame, rounding: Rounding
) -> dict[str, Any]:
    """The card for machines: everything that the page prints, and nothing else."""
    return {
        "format": "hfkit card 1", "project": {k: v for k, v in project.items() if k not in ("labels", "min_people")},
        "release": release["release"], "decision": release["decision"],
        "rules": [{"rule": r.rule, "state": r.state} for r in rules.itertuples()],
        "protection": {"below": rounding.below, "rounded_to": rounding.base},
        "rows": [{k: v for k, v in row.items() if k != "marks"} for row in card],
    }  # fmt: skip
