"""The card in words and tables that somebody outside the team reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hfkit.card.protect import BLANK, FEW, SHOWN, WITHHELD, Rounding
from hfkit.card.record import Row
from hfkit.card.sheet import PEOPLE, denominator, of_model
from hfkit.shared import cohorts
from hfkit.shared.measures import MODELS, RATES

Labels = Mapping[str, str]
_DECISIONS = {
    "ship": "may replace the model in use",
    "hold": "does not replace the model in use for now",
    "rollback": "is taken back: the earlier model is in use again",
}
_RULES = {  # what the rules that come with hfkit ask for, in words for outside; project.labels may say it otherwise
    "everyone who is served is heard": "Everyone whom the model serves is heard in the feedback",
    "the labels do not depend on how answers are combined": "The result does not hang on how answers are put together",
    "the new model is cheaper for the people served": "Its mistakes cost people less than those of the model in use",
    "learning is worth more than recalibrating": "It does better than the model in use would with its scores adjusted",
    "it is not dearer for any main group": "Its mistakes cost no main group more than before",
    "the new model is as good for every main group": "It is as good for each main group as for everyone else",
    "no main group is worse off than before": "No main group is worse off than with the model in use",
    "the score means what it says": "What it calls likely happens as often as it says",
    "nobody was harmed where it was tried": "Nobody was harmed where it was tried",
    "the world is still the one the model was trained for": "What it meets today is like what it learned from",
}
_STATES = {"met": "yes", "not met": "no", "not shown": "not shown yet"}
_HEARD = {"pass": "about as often as their share", "fail": "less often than their share", "inconclusive": "not settled"}


def group_name(group: str, labels: Labels) -> str:
    """What people call a group: a label of its own, or its attribute's label and its value.

    >>> group_name("served.language=es", {"served.language": "language"}), group_name("all", {})
    ('language es', 'everyone')
    """
    part = cohorts.parse(group)
    if group in labels or part is None:
        return str(labels.get(group, "everyone" if group == cohorts.ALL else group))
    pairs = zip(part.attributes, part.values, strict=True)
    return " and ".join(f"{labels.get(f'{part.perspective}.{a}', a)} {v}" for a, v in pairs)


def headline(project: Mapping[str, Any], release: str, decision: str) -> str:
    """The decision in a sentence."""
    return f"{project['name']}: the new model {release} {_DECISIONS[decision]}."


def about(
    project: Mapping[str, Any], components: pd.DataFrame, period: tuple[str, str], *, assumed: bool
) -> pd.DataFrame:
    """The model card's facts: question and answer; what nobody declared says so.

    `assumed`: consent was declared for all answers (clean.assume_consent), not stated by each person.
    """
    labels = project["labels"]
    judges = "; ".join(f"{labels.get(r.component, r.component)}: {r.event}" for r in components.itertuples())
    facts = {
        "What the model is for": project["purpose"], "What it must not be used for": project["not_for"],
        "What it says, by part": judges, "Who answers for it": ", ".join(map(str, project["owners"])),
        "Questions and complaints": project["contact"],
        "Agreement of who gave feedback": "declared by the team for all answers" if assumed else
        "stated with each answer or by its giver; answers without it, or taken back, are not used",
        "Cases from": " to ".join(p for p in period if p) or "no dates recorded",
        "Harm that a mistake can do": project["risk"], "Looked at again": project["cadence"],
    }  # fmt: skip
    answers = [str(v) or "not declared" for v in facts.values()]
    return pd.DataFrame({"question": list(facts), "answer": answers})


def rule_name(rule: str, labels: Labels) -> str:
    """What a rule asks for, in words for outside."""
    return str(labels.get(rule, _RULES.get(rule, _upper(rule))))


def requirements(rules: pd.DataFrame, signoffs: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """What the decision asked for, and whether it was shown; then who has agreed."""
    asked = [(rule_name(r.rule, labels), _STATES[r.state]) for r in rules.itertuples()]
    signed = [
        (f"Agreed to by the role {r.role}", "yes" if r.status == "approved" else "no") for r in signoffs.itertuples()
    ]
    return pd.DataFrame([*asked, *signed], columns=["required", "fulfilled"])


def how_used(card: Sequence[Row], labels: Labels, rounding: Rounding) -> list[str]:
    """How the feedback was used, in sentences from the printed counts."""
    rows = {r["row"][1]: r["counts"] for r in card if r["row"][0] == "usage"}
    whole = rows.pop(cohorts.ALL)
    total = {name: _count(c, rounding) for name, c in whole.items()}
    for part, rest in (("answers used", "answers set aside"), ("answers of people", "answers of programs")):
        for one, other in ((part, rest), (rest, part)):
            if (whole[one]["status"], whole[other]["status"]) == (WITHHELD, FEW):
                total[one] = f"all but {total[other]}"
    lines = [
        f"{_upper(total['answers received'])} answers came in that may be counted here; "
        f"{total['answers used']} were used and {total['answers set aside']} set aside, "
        f"{total['of these for lack of consent']} of these because the person did not agree to this use or took the "
        "agreement back.",
        f"Of the answers used, {total['answers of people']} came from people ({total['people who answered']} who can "
        f"be told apart) and {total['answers of programs']} from automatic checks or other models. They concern "
        f"{total['cases with an answer']} of {total['cases served']} cases that the model in use had served.",
    ]
    for component, counts in sorted(rows.items()):
        lines.append(
            f"{labels.get(component, component)}: several answers to a case were combined into one label, for "
            f"{_count(counts['cases with a label'], rounding)} cases. The new model learned from "
            f"{_count(counts['cases learned from'], rounding)}; others were held back to test it."
        )
    return lines


def by_group(
    card: Sequence[Row], component: str, labels: Labels, margin: Mapping[str, float], rounding: Rounding
) -> pd.DataFrame:
    """Model in use and new model for everyone and each main group of one component, everyone first."""
    mine = [r for r in card if r["row"][0] in cohorts.PEOPLE and r["row"][1] == component]
    out = []
    for r in sorted(mine, key=lambda r: r["row"][2] != cohorts.ALL):
        name = group_name(r["row"][2], labels) + _since(r, card)
        if r["counts"][PEOPLE]["status"] == FEW or all(c["status"] == BLANK for c in r["counts"].values()):
            out.append([name, f"fewer than {rounding.below} people", *[""] * 4])
            continue
        for measure, short in zip(RATES[1:3], ("caught", "false alarms"), strict=True):
            rates = [_rate(r["rates"].get(of_model(measure.name, model))) for model in MODELS]
            reading = _reading(r["verdicts"].get(measure.name, ""), margin[measure.name])
            cases = _count(r["counts"][denominator(measure)[0]], rounding)
            out.append([name, short, cases, *rates, reading])
    return pd.DataFrame(out, columns=["group", "share", "of cases", "model in use", "new model", "the new model is"])


def picture(card: Sequence[Row], components: Sequence[str], labels: Labels) -> pd.DataFrame:
    """How far each rate of each main group goes up or down, for plots.grid: row, column, value, verdict."""
    out = []
    for r in (r for name in components for r in card if r["row"][:2] in (["served", name], ["rater", name])):
        for measure, short in zip(RATES[1:3], ("caught", "false alarms"), strict=True):
            before, after = (r["rates"].get(of_model(measure.name, model), {"bound": ""}) for model in MODELS)
            change = np.nan if "bound" in before or "bound" in after else after["share"] - before["share"]
            out.append([group_name(r["row"][2], labels), f"{labels.get(r['row'][1], r['row'][1])}: {short}", change,
                        r["verdicts"].get(measure.name, "info")])  # fmt: skip
    return pd.DataFrame(out, columns=["row", "column", "value", "verdict"])


def worse(card: Sequence[Row], labels: Labels) -> list[str]:
    """For whom the new model is worse than the model in use by more than is tolerated, in sentences."""
    lines = []
    for r in card:
        _, component, group = r["row"]
        for measure in RATES:
            if r["verdicts"].get(measure.name) == "fail":
                before, after = (_rate(r["rates"].get(of_model(measure.name, model))) for model in MODELS)
                part = labels.get(component, component)
                lines.append(f"{part}, {group_name(group, labels)}: {measure.phrase} goes from {before} to {after}.")
    return lines or [
        "No main group is shown to be worse off by more than is tolerated. That is not proof that none is."
    ]


def heard_table(heard: pd.DataFrame, labels: Labels, rounding: Rounding) -> pd.DataFrame:
    """Who answered, against the population that was declared."""
    few = f"fewer than {rounding.below}"
    if heard.empty:
        return pd.DataFrame({"group": ["nothing is recorded about who answered"]})
    return pd.DataFrame({
        "group": [group_name(g, labels) for g in heard["group"]],
        "people who answered": [few if pd.isna(n) else f"about {int(n):,}" for n in heard["n"]],
        "share of all who answered": [_percent(v) for v in heard["share"]],
        "share of the people served": [_percent(v) for v in heard["reference"]],
        "heard": [_HEARD.get(v, "no comparison") for v in heard["verdict"]],
    })  # fmt: skip


def limits(rules: pd.DataFrame, labels: Labels, card: Sequence[Row], rounding: Rounding) -> list[str]:
    """What this card does not show."""
    open_ = [_lower(rule_name(r.rule, labels)) for r in rules.itertuples() if r.state == "not shown"]
    blank = sum(c["status"] != SHOWN for r in card for c in r["counts"].values())
    dates = sorted({r["as_of"] for r in card})
    return [
        "Not shown yet, which is neither a yes nor a no: " + ("; ".join(open_) or "nothing") + ".",
        "People who did not answer, and situations that were never served, are not in these numbers.",
        f"Counts of fewer than {rounding.below} people or cases are not published, and every other count is rounded to "
        f"a multiple of {rounding.base}, so that nobody can be picked out; {blank} counts are left out for that. Rates "
        "and the ranges behind them (95 %) are computed from the rounded counts, verdicts from the exact ones.",
        *(["Rows marked with an earlier date stand as they were published then: too few people have moved since to "
           "show a change without showing a person."] if len(dates) > 1 else []),
    ]  # fmt: skip


def _since(row: Row, card: Sequence[Row]) -> str:
    newest = max(r["as_of"] for r in card)
    return "" if row["as_of"] == newest else f" (as of {row['as_of']})"


def _reading(verdict: str, margin: float) -> str:
    points = f"{100 * margin:g} points"
    words = {"fail": f"worse, by more than {points}", "pass": f"not worse by more than {points}"}
    return words.get(verdict, "not settled" if verdict else "")


def _rate(rate: Mapping[str, Any] | None) -> str:
    r"""A rate as printed.

    >>> _rate({"share": 0.25, "low": 0.15, "high": 0.38}), _rate({"bound": "below", "share": 0.22}), _rate(None)
    ('25\xa0% (15 to 38)', 'below 22\xa0%', 'not published')
    """
    if rate is None:
        return "not published"
    if "bound" in rate:
        return f"{rate['bound']} {_percent(rate['share'])}"
    return f"{_percent(rate['share'])} ({100 * rate['low']:.0f} to {100 * rate['high']:.0f})"


def _percent(share: float) -> str:
    if pd.isna(share):
        return ""
    points = f"{100 * share:.0f}" if share == 0 or share >= 0.01 else f"{100 * share:.1g}"
    return f"{points}\u00a0%"


def _count(count: Mapping[str, Any], rounding: Rounding) -> str:
    """A printed count: about so many, too few, or not published."""
    words = {SHOWN: f"about {count['n'] or 0:,}", FEW: f"fewer than {rounding.below}"}
    return words.get(count["status"], "a number not published")


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
