"""People who asked to be forgotten: who of an export they are, and that no later export brings them back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd

from hfkit.clean import mapping, privacy
from hfkit.clean.consent import person
from hfkit.clean.ledger import Ledger
from hfkit.clean.settings import Source
from hfkit.shared.records import Records

PEOPLE = ("rater_id", "unit_id")


def digest(name: str, key: bytes) -> str:
    """A keyed digest of a person: the same for every spelling of the id, and no use to anybody without the key."""
    return privacy.pseudonym(f"forgotten {person(name)}", key)


def forgotten(records: Iterable[tuple[str, Mapping[str, Any]]]) -> frozenset[str]:
    """The digests of all people in data/ledger/forgotten."""
    return frozenset(str(r["person"]) for _, r in records)


def erased(digests: frozenset[str], secret: Callable[[], bytes] | None) -> Callable[[str], bool]:
    """Says of an id whether it is a forgotten person's."""
    if not digests or secret is None:
        return lambda name: False
    key = secret()
    return lambda name: digest(name, key) in digests


def belonging(rater: str, records: Records, source: Mapping[str, Any], key: bytes) -> pd.DataFrame:
    """Which records of a source are of this person, as a rater or as the person served?

    `rater` is an id in any spelling, or a pseudonym as pages show it.

    One row a record: `at` (its place in records.frame) and `name` (the id as mapped).
    """
    given = Source.model_validate(dict(source))
    ledger = Ledger([records], [given.table])
    rows = mapping.rows(records, given, ledger, 0)
    out = []
    for column in (c for c in PEOPLE if c in rows):
        ids = rows[column].dropna().unique()
        mine = rows[rows[column].isin([v for v in ids if person(v) == person(rater) or _shown(v, key) == rater])]
        out.append(pd.DataFrame({"at": mine["_entry"].to_numpy(int), "name": mine[column].to_numpy(object)}))
    both = pd.concat(out) if out else pd.DataFrame({"at": [], "name": []})
    return both.drop_duplicates("at").sort_values("at", ignore_index=True)


def _shown(name: str, key: bytes) -> str:
    return privacy.pseudonym(name, key) if privacy.names_a_person(name) else name


def slots(source: Mapping[str, Any]) -> list[str]:
    """The columns of an export that name its people."""
    specs = [source["columns"][c] for c in PEOPLE if c in source["columns"]]
    return [slot for spec in specs for slot in mapping.named(spec)]
