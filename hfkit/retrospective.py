"""Retrospective: what was promised last cycle, what happened, and which feedback paid off?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from hfkit.shared import evidence as ev
from hfkit.shared import learn, measures, rooms, stats
from hfkit.shared.errors import BadValue
from hfkit.shared.learn import Floats
from hfkit.shared.schema import NOT_STATED

ROOMS = rooms.EVIDENCE[rooms.EVIDENCE.index("retrain") :]  # those that make promises about the new model
KEPT = {"pass": "kept", "fail": "broken", "inconclusive": "inconclusive"}
NO_RECORD = "no release record in data/raw/releases: copy data/decide/release.json there when a release has shipped"
_PROMISES = ["release", "measure", "component", "group", "better", "promised", "room", "value", "low", "high", "n",
             "outcome", "note"]  # fmt: skip
_PAYOFF = ["source", "name", "component", "answers", "rows_lost", "value", "low", "high", "n", "outcome", "note"]


def last_release(records: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The latest release record (by date, then by release name); empty where there is none.

    Raises BadValue, which names the file, for a record that is not one.

    >>> last_release([("a.json", {"release": "v0", "promises": []}), ("b.json", {"release": "v1", "promises": []})])
    {'release': 'v1', 'promises': []}
    """
    read: list[dict[str, Any]] = []
    for file, record in records:
        fits = isinstance(record, dict) and isinstance(record.get("release"), str)
        promised = record.get("promises") if isinstance(record, dict) else None
        if not fits or not isinstance(promised, list) or not all(_is_promise(p) for p in promised):
            raise BadValue(
                expected='{"release", "promises": [{"measure", "promised" (a number), "better", ...}]}',
                found="another structure", where=f"data/raw/releases/{file}",
                todo="copy data/decide/release.json of that release there, unchanged",
            )  # fmt: skip
        read.append(record)
    return max(read, key=lambda r: (str(r.get("date", "")), r["release"]), default={})


def _is_promise(promise: Any) -> bool:
    number = promise.get("promised") if isinstance(promise, Mapping) else None
    fits = isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
    return fits and isinstance(promise.get("measure"), str)


def promises(record: Mapping[str, Any], evidence: pd.DataFrame) -> pd.DataFrame:
    """Which promises of a release were kept?

    evidence: all rooms' rows, with a column `room`. A promise is matched on measure, component and group. What was
    the candidate then is the baseline now, so `candidate` in a promised measure is looked up as `baseline` first, and
    a measure that names no model is one of the baseline.

    Returns one row a promise, in the order of the record: what was promised, what is measured now with its interval,
    outcome kept (the whole interval on the good side), broken (all on the bad side) or inconclusive, and why. A
    promised difference of two models is inconclusive: the older one no longer runs.

    >>> now = ev.table([ev.row("AUC (baseline)", value=0.8, low=0.75, high=0.85, n=9)]).assign(room="retrain")
    >>> record = {"release": "v1", "promises": [{"measure": "AUC (candidate)", "promised": 0.7, "better": "higher"}]}
    >>> promises(record, now)["outcome"].tolist()
    ['kept']
    """
    rows = [_promise(record["release"], p, evidence) for p in record.get("promises", [])]
    return pd.DataFrame(rows, columns=_PROMISES)


def _promise(release: str, promise: Mapping[str, Any], evidence: pd.DataFrame) -> list[Any]:
    measure, better = promise["measure"], str(promise.get("better", ""))
    component, group = str(promise.get("component", "all")), str(promise.get("group", "all"))
    fixed = [release, measure, component, group, better, float(promise["promised"])]
    nothing = [None, math.nan, math.nan, math.nan, 0, "inconclusive"]
    if better not in ("higher", "lower"):
        return [*fixed, *nothing, "the record does not say which direction is better (higher or lower)"]
    if measures.read(measure).difference:
        return [*fixed, *nothing, "a difference of two models: the older one no longer runs; promise a level"]
    now = measure.replace("candidate", "baseline")
    for name in dict.fromkeys((now, f"{measure} (baseline)", measure)):
        same = (evidence["measure"] == name) & (evidence["component"] == component) & (evidence["group"] == group)
        if same.any():
            r = evidence[same].iloc[0]
            verdict = ev.judge(r["low"], r["high"], target=float(promise["promised"]), better=better)
            note = "" if name == measure else f"measured as {name}: the release is the baseline now"
            note = note if verdict != "inconclusive" else _unsettled(r, note)
            return [*fixed, r["room"], r["value"], r["low"], r["high"], int(r["n"]), KEPT[verdict], note]
    return [*fixed, *nothing, f"no evidence on {now} for {component}, {group}"]


def _unsettled(row: pd.Series, note: str) -> str:
    why = "the interval contains the promise" if pd.notna(row["low"]) else row["note"] or "no interval was measured"
    return f"{why}; {note}" if note else str(why)


def with_kind(judgements: pd.DataFrame, feedback: pd.DataFrame) -> pd.DataFrame:
    """Judgements with the rater_kind of each answer ("not stated" where the answer is not in `feedback`)."""
    kinds = feedback.set_index("feedback_id")["rater_kind"]
    return judgements.assign(rater_kind=judgements["feedback_id"].map(kinds).fillna(NOT_STATED))


def payoff(
    items: pd.DataFrame, judgements: pd.DataFrame, predictions: pd.DataFrame, *, min_people: int, penalty: float,
    n_boot: int, rng: np.random.Generator,
) -> pd.DataFrame:  # fmt: skip
    """Which feedback paid off: what would a model lose that had not learned from one channel, or kind of rater?

    For every component a small model is fitted on the share of answers with the event, with all answers and with one
    source left out, on the same train rows and inputs. Both are judged on the test rows, by the answers of the
    OTHER sources (a source that only predicts itself does not pay off). A source that differs from the mix of the
    others counts as a cost even where the others are the ones that are wrong: audit says who is reliable.

    items : clean.items. judgements : with a column rater_kind, see `with_kind`. predictions : retrain's, for its split.

    Returns one row a source and component, and one for `all` components where several were measured: answers given,
    rows_lost (train rows that only it labels), value = log loss without minus with it (nats an answer; above 0 = it
    paid off), low and high (95 % for all sources of a kind together, by Bonferroni; items with the same text
    resampled together, both models together), n (held-out answers), outcome ("paid off", "cost us", "inconclusive"),
    and why.
    """
    items = items.sort_values("item_id", ignore_index=True)
    items = items.assign(group=learn.text_groups(items))
    judged = judgements[judgements["weight"] > 0].merge(predictions[["item_id", "component", "split"]],
                                                        on=["item_id", "component"])  # fmt: skip
    draw = partial(stats.bootstrap, rng=rng, n_boot=n_boot)
    measured: dict[tuple[str, str], list[pd.DataFrame]] = {}
    rows: list[dict[str, Any]] = []
    for component, part in judged.groupby("component", sort=True):
        model = _Learner(items, part, min_people=min_people, penalty=penalty)
        for source, name in _sources(judged):
            gains, note = model.without(source, name)
            rows.append(_row(source, name, str(component), part, gains, note, draw))
            measured.setdefault((source, name), []).append(gains.assign(group=gains["group"] + "\0" + str(component)))
    for (source, name), parts in measured.items():
        gains = pd.concat([p for p in parts if len(p)] or parts[:1])
        if sum(len(p) > 0 for p in parts) > 1:
            rows.append(_row(source, name, "all", judged, gains, "", draw))
    out = pd.DataFrame(rows, columns=_PAYOFF)
    first = (out["component"] != "all").astype(int)
    return out.assign(first=first).sort_values(["source", "first", "component", "name"], ignore_index=True)[_PAYOFF]


def _mean(gain: Floats, n: Floats) -> float:
    return float(gain.sum() / n.sum())


def _sources(judged: pd.DataFrame) -> list[tuple[str, str]]:
    return [(s, str(n)) for s in ("channel", "rater_kind") for n in sorted(judged[s].unique())]


class _Learner:
    """One component: inputs as a matrix, made once; what changes with a source left out are labels and weights."""

    def __init__(self, items: pd.DataFrame, part: pd.DataFrame, *, min_people: int, penalty: float) -> None:
        self.part, self.penalty = part, penalty
        answered = items[items["item_id"].isin(part["item_id"])]
        self.items = answered.reset_index(drop=True)
        train = self.items["item_id"].isin(part.loc[part["split"] == "train", "item_id"])
        names = learn.input_names(self.items[train], text=True, features=True, baseline=True)
        self.matrix: Any = None
        if names:
            design = learn.design(learn.inputs(self.items[train], names), self.items.loc[train, "group"], min_people)
            self.matrix = design.transform(learn.inputs(self.items, names))
        self.full = self._fit(part)

    def _fit(self, answers: pd.DataFrame) -> Floats | None:
        """Predictions for every item after learning from these answers, one weight an item; None where impossible."""
        k, n = self._counts(answers[answers["split"] == "train"])
        rows = n > 0
        share = k[rows] / n[rows]
        if self.matrix is None or self.matrix.shape[1] == 0 or not 0 < share.sum() < len(share):
            return None
        fitted = learn.fit_soft(self.matrix[rows], share, np.ones(len(share)), self.penalty)
        return np.asarray(fitted.predict_proba(self.matrix)[:, 1], dtype=float)

    def _counts(self, answers: pd.DataFrame) -> tuple[Floats, Floats]:
        gains = learn.answers(answers).set_index("item_id").reindex(self.items["item_id"]).fillna({"k": 0.0, "n": 0.0})
        return gains["k"].to_numpy(float), gains["n"].to_numpy(float)

    def without(self, source: str, name: str) -> tuple[pd.DataFrame, str]:
        """Gain of each held-out item (group, gain = weighted loss without minus with, n), and why there is none."""
        own = self.part[source] == name
        empty = pd.DataFrame({"group": pd.Series(dtype="str"), "gain": [], "n": []})
        if not own.any() or own.all():
            return (
                empty,
                "it gave no answer here" if not own.any() else "it is the only source: nothing to compare with",
            )
        rest = self.part[~own]
        left = self._fit(rest)
        if left is None or self.full is None:
            return empty, "without it, nothing is left to learn from"
        k, n = self._counts(rest[rest["split"] == "test"])
        rows = n > 0
        y = k[rows] / n[rows]
        gain = n[rows] * (learn.log_losses(y, left[rows]) - learn.log_losses(y, self.full[rows]))
        return pd.DataFrame({"group": self.items.loc[rows, "group"], "gain": gain, "n": n[rows]}), ""


def _row(source: str, name: str, component: str, part: pd.DataFrame, gains: pd.DataFrame, note: str,
         draw: Callable[..., Any]) -> dict[str, Any]:  # fmt: skip
    own = part[source] == name
    keys = part["item_id"] + "\0" + part["component"]
    train = part["split"] == "train"
    lost = keys[own & train].nunique() - len(set(keys[own & train]) & set(keys[~own & train]))
    value, low, high = math.nan, math.nan, math.nan
    if len(gains):
        level = 1 - 0.05 / part[source].nunique()  # Bonferroni: the best of several channels is looked at
        cluster = gains["group"].to_numpy(object)
        value, low, high = draw(_mean, gains["gain"], gains["n"], cluster=cluster, level=level)
    elif not note:
        note = "no answer of another source on the test rows"
    outcome = "paid off" if low > 0 else "cost us" if high < 0 else "inconclusive"
    if len(gains) and outcome == "inconclusive":
        note = "the interval contains 0: too few answers, or no effect"
    return {
        "source": source, "name": name, "component": component, "answers": int(own.sum()), "rows_lost": lost,
        "value": value, "low": low, "high": high, "n": round(gains["n"].sum()), "outcome": outcome, "note": note,
    }  # fmt: skip


def evidence(promised: pd.DataFrame, paid: pd.DataFrame) -> pd.DataFrame:
    """Promises and payoff as evidence rows: `promise: <measure>` with a verdict, `payoff of <source> <name>` without.

    No promise at all gives one row that says so.
    """
    verdicts = {outcome: verdict for verdict, outcome in KEPT.items()}
    rows = [
        ev.row(f"promise: {r.measure}", component=r.component, group=r.group, value=r.value, low=r.low, high=r.high,
               n=r.n, better=r.better if r.better in ("higher", "lower") else "none", verdict=verdicts[r.outcome],
               note=f"{r.release} promised {r.promised:g}{f'; {r.note}' if r.note else ''}")
        for r in promised.itertuples()
    ]  # fmt: skip
    if not rows:
        rows = [ev.row("promise", value=math.nan, n=0, verdict="inconclusive", note=NO_RECORD)]
    rows += [
        ev.row(f"payoff of {r.source} {r.name}", component=r.component, value=r.value, low=r.low, high=r.high, n=r.n,
               better="higher", note=r.note or r.outcome)
        for r in paid.itertuples()
    ]  # fmt: skip
    return ev.table(rows)


def total(paid: pd.DataFrame) -> pd.DataFrame:
    """The payoff over all components: the rows of `all`, or those of the component where there is only one."""
    return paid[paid["component"] == "all"] if (paid["component"] == "all").any() else paid


def metrics(promised: pd.DataFrame, paid: pd.DataFrame) -> dict[str, float]:
    """Counts of promises by outcome, and the payoff of each source over all components, as a flat dict."""
    counts = {f"promises_{o.replace(' ', '_')}": float((promised["outcome"] == o).sum()) for o in KEPT.values()}
    rows = total(paid)
    return counts | {f"payoff.{s}.{n}": float(v) for s, n, v in zip(rows["source"], rows["name"], rows["value"],
                                                                   strict=True)}  # fmt: skip


def answer(promised: pd.DataFrame, paid: pd.DataFrame) -> str:
    """Which promises were kept and which feedback paid off, in a sentence or two.

    >>> answer(pd.DataFrame(columns=_PROMISES), pd.DataFrame(columns=_PAYOFF))
    'No release is recorded, so there is no promise to check. There is not enough data to say which channel paid off.'
    """
    counts = promised["outcome"].value_counts()
    outcomes = ", ".join(f"{int(counts.get(o, 0))} {o}" for o in KEPT.values())
    first = f"Promises of {promised['release'].iloc[0]}: {outcomes}." if len(promised) else (
        "No release is recorded, so there is no promise to check.")  # fmt: skip
    rows = total(paid)
    rows = rows[rows["source"] == "channel"]
    parts = [
        f"{word}: " + ", ".join(f"{n} ({v:+.3f} nats an answer)" for n, v in zip(r["name"], r["value"], strict=True))
        for word in ("paid off", "cost us")
        if len(r := rows[rows["outcome"] == word].sort_values("value", key=abs, ascending=False).head(3))
    ]
    open_ = int((rows["outcome"] == "inconclusive").sum())
    tail = f"; for {open_} of {len(rows)} channels there is not enough data to tell" if open_ else ""
    return f"{first} Feedback: {'; '.join(parts)}{tail}." if parts else (
        f"{first} There is not enough data to say which channel paid off.")  # fmt: skip
