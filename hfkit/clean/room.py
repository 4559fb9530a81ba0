"""The room's one call, in the order that matters: consent, types, duplicates, joins, references, meaning, masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from hfkit.clean import consent as agreed
from hfkit.clean import mapping, privacy, questions, rules, settings, strict
from hfkit.clean.erasure import erased
from hfkit.clean.ledger import Ledger
from hfkit.shared import schema, texts
from hfkit.shared.errors import BadValue, NothingLeft, ParamError
from hfkit.shared.records import Records

Entries = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Cleaned:
    """What is left after cleaning, and the books: `masked` by kind, `repeated` by source, `unlabelled` by question.

    `unnamed` lists the answers that the rubric does not name, `blank` counts the cells left blank, by source.
    `clipped` counts answers moved to a bound, by source.
    `examples` has a value for each source, reason and column where a way of writing is at fault.
    `refused` lists the consent words that nobody declared, and withdrawals that reached no answer. `bins` says where
    numeric attributes were cut into groups (see bins.binned).
    """

    items: pd.DataFrame
    feedback: pd.DataFrame
    comparisons: pd.DataFrame
    questions: pd.DataFrame
    raters: pd.DataFrame
    population: pd.DataFrame
    policy: pd.DataFrame
    components: pd.DataFrame
    rejects: pd.DataFrame
    accounts: pd.DataFrame
    masked: Counter[str]
    repeated: dict[str, int]
    unlabelled: dict[str, int]
    unnamed: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=rules.UNNAMED))
    blank: dict[str, int] = field(default_factory=dict)
    clipped: dict[str, int] = field(default_factory=dict)
    examples: dict[tuple[str, str, str], str] = field(default_factory=dict)
    refused: agreed.Refused = field(default_factory=agreed.Refused)
    bins: dict[str, list[float]] = field(default_factory=dict)


def clean(
    records: Sequence[Records], *, sources: Entries, components: Entries, rubric: Entries, run_date: str,
    consent: agreed.Consent | None = None, private: privacy.Privacy | None = None,
) -> Cleaned:  # fmt: skip
    """Which feedback is usable, and what became of the rest?

    `records` come from the format readers, one a source. `consent` says which words agree to what (see
    consent.declared), `private` how people are protected. Records of every source are kept or rejected, never lost;
    the order of the records makes no difference to any table but the line numbers.

    Raises ParamError, MissingColumn, BadValue (a score outside 0..1, a damaged record of a raters source), NothingLeft,
    StageError (books out of balance).
    """
    given = settings.check(sources, components, rubric)
    private = private or privacy.Privacy()
    named = {r.source: r for r in records}
    _whole([named[s.name] for s in given.sources if s.table == "raters"])
    ledger = Ledger([named[s.name] for s in given.sources], [s.table for s in given.sources])
    parts = _parts(ledger, given.sources)
    parts, refused = agreed.applied(
        parts, ledger, consent or agreed.declared({}), erased(private.forgotten, private.secret)
    )
    latest = _latest(run_date)
    claims = {name: strict.typed(frame, schema.TABLES[name], ledger, latest) for name, frame in parts.items()}
    claims = privacy.pseudonymised(claims, private.secret)
    tables, repeated = _tables(dict(claims), given, ledger)
    made = {name: frame.drop(columns=[c for c in frame if c.startswith("_")]) for name, frame in tables.items()}
    if not len(made["items"]) or not len(made["feedback"]):
        raise _nothing(ledger, "item" if not len(made["items"]) else "answer", refused)
    made["items"] = _finished(made["items"])
    shown, masked = privacy.masked(made, privacy.finders(private.masks))
    shown["items"] = shown["items"].assign(text_group=texts.groups(shown["items"]))
    shaped = {n: schema.shape(f.sort_values(list(schema.TABLES[n].key)), schema.TABLES[n]) for n, f in shown.items()}
    return Cleaned(
        **shaped, questions=questions.levels(shaped["feedback"], given.rubric),
        components=_components(given), rejects=ledger.rejects(),
        accounts=ledger.accounts(_kept(claims, made, ledger)), masked=masked, repeated=repeated,
        unlabelled=_unlabelled(shaped["feedback"], given), refused=refused,
        unnamed=rules.unnamed(shaped, given.rubric, private.min_people), blank=dict(ledger.blank),
        clipped=dict(ledger.clipped), examples=ledger.examples(),
    )  # fmt: skip


def _whole(sources: Sequence[Records]) -> None:
    """Every record of a raters source must be readable: a damaged one may be somebody's withdrawal."""
    for records in sources:
        damaged = [(line, reason) for line, reason, _ in records.rejects if reason != "blank_line"]
        if damaged:
            listed = ", ".join(f"{line} ({reason.replace('_', ' ')})" for line, reason in damaged[:5])
            raise BadValue(
                expected="every record of a raters source whole: a damaged one may be somebody's withdrawal",
                found=f"{len(damaged)} damaged: record {listed}", where=f"source {records.source}",
                todo="correct these records in the export, and copy it again",
            )  # fmt: skip


def _latest(run_date: str) -> pd.Timestamp:
    date = pd.to_datetime(run_date, format="%Y-%m-%d", errors="coerce")
    if pd.isna(date):
        raise ParamError(
            expected="a date as 2026-07-06", found=repr(run_date), where="params.yaml: clean.run_date",
            todo="write it so, in quotes",
        )  # fmt: skip
    return pd.Timestamp(date, tz="UTC") + pd.Timedelta(days=2) - pd.Timedelta(microseconds=1)


def _parts(ledger: Ledger, sources: Sequence[settings.Source]) -> rules.Parts:
    """All mapped rows of each agreed table under each other, as text."""
    mapped: dict[str, list[pd.DataFrame]] = {name: [] for name in schema.RAW}
    for i, (source, records) in enumerate(zip(sources, ledger.records, strict=True)):
        rows = mapping.rows(records, source, ledger, int(ledger.first[i]))
        if source.table in schema.ANSWERS:
            usual = {"rater_kind": "human", "channel": source.name}
            usual |= {"question": "preference"} if source.table == "comparisons" else {}
            rows = rows.assign(**{n: v for n, v in usual.items() if n not in rows}, _multiple=source.multiple)
        key = schema.TABLES[source.table].key
        rows = ledger.origin(rows)
        mapped[source.table].append(rows.assign(_source=i, _raw=rows[key[0]], line=rows["line"].astype(str)))
    out = {}
    for name, frames in mapped.items():
        empty = ["_entry", "_source", "_raw", *(c.name for c in schema.TABLES[name].columns if c.required)]
        frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=empty, dtype="object")
        out[name] = frame.astype({"_entry": "int64"})
    return out


def _tables(parts: rules.Parts, given: settings.Settings, ledger: Ledger) -> tuple[rules.Parts, dict[str, int]]:
    """Duplicates, joins, references and meaning. Returns the tables and how many records merely repeat another."""
    repeated = {}
    singles: dict[str, list[pd.DataFrame]] = {name: [] for name in parts}
    for i, source in enumerate(given.sources):
        rows = ledger.keep(parts[source.table])
        rows = rows[rows["_source"] == i]
        one = rules.single(rows, schema.TABLES[source.table].key, ledger, distinct=source.distinct)
        repeated[source.name] = len(ledger.keep(rows)) - len(one) if source.distinct else 0
        singles[source.table].append(one)
    tables = {}
    for name, frames in singles.items():
        key = schema.TABLES[name].key
        if name in ("items", "raters") and frames:
            tables[name] = rules.join(frames, key[0], ledger)
        else:
            whole = pd.concat(frames, ignore_index=True) if frames else parts[name]
            tables[name] = ledger.keep(rules.single(whole, key, ledger, distinct=False))
    tables["items"] = _items(tables["items"], parts["items"], given, ledger)
    for side in ("item_a", "item_b"):
        tables["comparisons"] = rules.referred(
            tables["comparisons"], side, tables["items"]["item_id"], "unknown_item", ledger
        )
    tables["comparisons"] = rules.once(tables["comparisons"], ledger, "comparison_id", ["item_a", "item_b"])
    answers = rules.referred(tables["feedback"], "item_id", tables["items"]["item_id"], "unknown_item", ledger)
    answers = rules.in_range(_shaped(answers, schema.FEEDBACK), given.rubric, ledger)
    answers = rules.once(answers, ledger)  # after all that may be wrong with one: it must not supersede a good one
    tables["feedback"] = rules.meaning(answers, tables["items"], given.rubric)
    return tables, repeated


def _items(items: pd.DataFrame, rows: pd.DataFrame, given: settings.Settings, ledger: Ledger) -> pd.DataFrame:
    """Items of known components, decisions filled; an item of none goes, with all its records."""
    items = _shaped(items, schema.ITEMS)
    names = [c.component for c in given.components]
    for reason, bad in (("missing", items["component"].isna()), ("unknown_component", ~items["component"].isin(names))):
        ledger.reject(rows, rows["item_id"].isin(items.loc[bad, "item_id"]), reason, "component")
    items = items[items["component"].isin(names)]
    return items.assign(decision=rules.decisions(items, given.components))


def _shaped(frame: pd.DataFrame, table: schema.Table) -> pd.DataFrame:
    """Absent optional columns as missing, so that rules need not ask."""
    return frame.assign(**{c.name: None for c in table.columns if c.name not in frame and c.name != "label"})


def _finished(items: pd.DataFrame) -> pd.DataFrame:
    return items.assign(**{c: strict.feature(items[c]) for c in schema.cohorts(items, "feature.")})


def _kept(claims: rules.Parts, made: rules.Parts, ledger: Ledger) -> dict[str, int]:
    """How many records of each source stand behind the tables made? Counted by key, apart from the ledger's rejects."""
    kept = dict.fromkeys((r.source for r in ledger.records), 0)
    for name, rows in claims.items():
        key = list(schema.TABLES[name].key)
        here = pd.MultiIndex.from_frame(rows[key]).isin(pd.MultiIndex.from_frame(made[name][key]))
        used = rows[here & ~np.isin(ledger.reason[rows["_entry"].to_numpy()], ["duplicate", "superseded"])]
        for i, n in used.drop_duplicates("_entry").groupby("_source").size().items():
            kept[ledger.records[i].source] += int(n)
    return kept


def _components(given: settings.Settings) -> pd.DataFrame:
    frame = pd.DataFrame([c.model_dump() for c in given.components])
    return schema.shape(frame.sort_values("component"), schema.COMPONENTS)


def _unlabelled(feedback: pd.DataFrame, given: settings.Settings) -> dict[str, int]:
    """Answers to questions that no rubric entry explains, by question."""
    names = [r.question for r in given.rubric]
    counts = feedback.loc[~feedback["question"].isin(names), "question"].value_counts()
    return {str(q): int(n) for q, n in sorted(counts.items())}


def _nothing(ledger: Ledger, missing: str, refused: agreed.Refused) -> NothingLeft:
    rejects = ledger.rejects()
    reasons = rejects["reason"].value_counts().head(3)
    why = ", ".join(f"{n} {r}" for r, n in reasons.items()) or "the sources hold no records"
    first = str(reasons.index[0]) if len(reasons) else ""
    seen = ", ".join(f"{w.word!r} ({w.records})" for w in refused.words.head(4).itertuples())
    advice = {
        "no_consent": f"declare under clean.consent which words agree (seen: {seen})" if seen else
        "map consent_scope, or name under clean.assume_consent what everybody agreed to at source",
        "withdrawn": "everybody has withdrawn: is `consent` mapped from the right column?",
        "unknown_item": "is item_id mapped from the same name in the items and in the answers?",
    }  # fmt: skip
    seen_values = "; ".join(
        f"{e} in {c}: {declare(r, e, c)}" for (_, r, c), e in ledger.examples().items() if r == first
    )
    return NothingLeft(
        expected=f"at least one usable {missing}", found=f"none of {len(ledger.reason)} records ({why})",
        where="room clean",
        todo=advice.get(first, seen_values) or "look at the most frequent reason, and at the columns mapped for it",
    )  # fmt: skip


def declare(reason: str, value: str, column: str) -> str:
    """What to declare where a value of a source is written otherwise than hfkit reads it, or what is wrong with it.

    >>> declare("not_a_time", "'2026-02-30T09:00:00Z'", "created_at"), declare("not_in_list", "'API'", "rater_kind")
    ('no calendar has it: correct it in the export', "translate it, as values: {rater_kind: {'API': human}}")
    """
    if reason == "not_a_time" and strict.TIME.fullmatch(value.strip("'")):
        return "no calendar has it: correct it in the export"
    first = {c.name: c.values[0] for t in schema.RAW for c in schema.TABLES[t].columns if c.values}.get(column, "...")
    comma = (
        "where it writes decimals with a comma, decimal: ','" if "," in value else "correct it, or list it in missing"
    )
    return {
        "not_a_time": "say how the source writes times, as time: {format: '%m/%d/%Y %H:%M:%S', zone: Europe/Berlin}",
        "not_a_number": comma, "type": "map a single value",
        "out_of_range": "correct the range or the value, or move it to a bound with clip: [0, 100]",
        "not_in_list": f"translate it, as values: {{{column}: {{{value}: {first}}}}}",
    }.get(reason, "")  # fmt: skip
