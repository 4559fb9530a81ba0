"""What clean says about its own work: evidence, metrics, the plot's table and the answer."""

from __future__ import annotations

import math

import pandas as pd

from hfkit.clean.room import Cleaned, declare
from hfkit.clean.rules import look_alikes
from hfkit.shared import evidence as ev


def evidence(cleaned: Cleaned) -> pd.DataFrame:
    """How much was kept, of which source, and what was done to it? All rows are `info`: counts without a target."""
    rows = [_share("share of records kept", "all", *cleaned.accounts[["kept", "read"]].sum())]
    for source, kept, read in cleaned.accounts[["source", "kept", "read"]].itertuples(index=False):
        rows.append(_share("share of records kept", f"source={source}", kept, read))
    read = int(cleaned.accounts["read"].sum())
    for reason, n in cleaned.rejects["reason"].value_counts().sort_index().items():
        rows.append(ev.row("records rejected", group=f"reason={reason}", value=float(n), n=read, better="lower"))
    for source, n in cleaned.repeated.items():
        if n:
            rows.append(ev.row("records that repeat another", group=f"source={source}", value=float(n), n=read))
    for kind, n in sorted(cleaned.masked.items()):
        note = "masked before writing; names and postal addresses by fixed rules only (docs/privacy.md)"
        rows.append(ev.row("personal data masked", group=f"kind={kind}", value=float(n), n=read, note=note))
    rows += _listed(cleaned, read)
    label = cleaned.feedback["label"]
    rows.append(_share("share of answers with a label", "all", int(label.notna().sum()), len(label)))
    for question, n in cleaned.unlabelled.items():
        note = "no rubric entry: add one under clean.rubric if the answers say right or wrong"
        group = f"question={question}"
        rows.append(ev.row("answers without a rubric", group=group, value=float(n), n=len(label), note=note))
    for where, frame in (("served", cleaned.items), ("rater", cleaned.raters)):
        for name, n in look_alikes(frame).items():
            note = "names that differ only in case, blanks or invisible characters are counted as different groups"
            group = name.replace("cohort.", f"{where}.")
            rows.append(ev.row("look-alike group names", group=group, value=float(n), n=len(frame), note=note))
    for name, edges in cleaned.bins.items():
        note = f"cut at {', '.join(f'{e:g}' for e in edges)}: declare other edges under clean.bins"
        rows.append(ev.row("groups made of numbers", group=f"attribute={name}", value=float(len(edges) + 1),
                           n=len(cleaned.items) + len(cleaned.raters), note=note))  # fmt: skip
    return ev.table(rows)


def _listed(cleaned: Cleaned, read: int) -> list[dict[str, object]]:
    """What the page lists by name, counted."""
    rows = []
    words, lost = cleaned.refused.words, len(cleaned.refused.unreached)
    if len(words):
        note = "none of these words is declared under clean.consent; the page lists them"
        rows.append(
            ev.row("records in undeclared consent words", value=float(words["records"].sum()), n=read, note=note)
        )
    if lost:
        note = "the page names them: is the id written otherwise in the answers?"
        rows.append(ev.row("withdrawals that reached no answer", value=float(lost), n=read, better="lower", note=note))
    if len(cleaned.unnamed):
        note = "the rubric names none of these values: the page lists them"
        rows.append(ev.row("answers the rubric does not name", value=float(cleaned.unnamed["answers"].sum()),
                           n=len(cleaned.feedback), better="lower", note=note))  # fmt: skip
    for source, n in cleaned.clipped.items():
        if n:
            note = "numbers outside `clip` count as its nearer bound"
            rows.append(ev.row("answers clipped", group=f"source={source}", value=float(n), n=read, note=note))
    for source, n in cleaned.blank.items():
        if n:
            rows.append(ev.row("cells left blank", group=f"source={source}", value=float(n), n=read))
    return rows


def _share(measure: str, group: str, part: int, whole: int) -> dict[str, object]:
    value = part / whole if whole else math.nan
    return ev.row(measure, group=group, value=value, n=int(whole), better="higher", note="" if whole else "no records")


def metrics(cleaned: Cleaned) -> dict[str, float]:
    """The numbers to compare between runs."""
    books = cleaned.accounts
    return {
        "records_read": int(books["read"].sum()), "records_kept": int(books["kept"].sum()),
        "records_rejected": int(books["rejected"].sum()), "items": len(cleaned.items), "answers": len(cleaned.feedback),
        "comparisons": len(cleaned.comparisons), "text_groups": int(cleaned.items["text_group"].nunique()),
        "labelled_answers": int(cleaned.feedback["label"].notna().sum()),
        "raters": int(cleaned.feedback["rater_id"].nunique()), "personal_data_masked": sum(cleaned.masked.values()),
    }  # fmt: skip


def reasons(cleaned: Cleaned) -> pd.DataFrame:
    """How many records of each source were rejected, by reason; most frequent first."""
    counts = cleaned.rejects.groupby(["source", "reason"]).size().rename("records").reset_index()
    seen = {(s, r): f"{v} in {c}: {declare(r, v, c)}" for (s, r, c), v in sorted(cleaned.examples.items())}
    counts["for example"] = [seen.get((s, r), "") for s, r in zip(counts["source"], counts["reason"], strict=True)]
    return counts.sort_values(["records", "source", "reason"], ascending=[False, True, True], ignore_index=True)


def answer(cleaned: Cleaned) -> str:
    """Can this feedback be used? Usable is an answer that gives a label, of all but repeats and earlier versions."""
    m = metrics(cleaned)
    again = cleaned.rejects["reason"].isin(["duplicate", "superseded", "blank_line", "not_kept"])
    came = int(m["answers"] + ((cleaned.rejects["table"] == "feedback") & ~again).sum())
    top = cleaned.rejects["reason"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    lost = len(cleaned.refused.unreached)
    warning = (
        f" {lost:,} withdrawal{'s' * (lost != 1)} reached no answer: see below, before anything is used."
        if lost
        else ""
    )
    most = f", most often {top.index[0].replace('_', ' ')} ({top.iloc[0]:,})" if len(top) else ""
    return (
        f"{m['labelled_answers'] / came:.1%} of {came:,} answers are usable, that is, they give a label: "
        f"{m['labelled_answers']:,} by {m['raters']:,} known raters on {m['items']:,} items. {m['answers']:,} answers "
        f"were kept; {m['records_rejected']:,} of {m['records_read']:,} records were set aside{most}; "
        f"{m['personal_data_masked']:,} pieces of personal data were masked." + warning
    )
