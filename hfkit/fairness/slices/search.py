"""Blind spots: where is the new model worse for a group of people in a kind of situation that nobody declared?

One half of the test items proposes slices, the other half confirms them, so that a slice that only looked bad by chance
is not reported. Two halves as in Cox (1975), Biometrika 62:441; slices as in Chung et al. (2019), ICDE, "Slice Finder".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.special import stdtr, stdtrit

from hfkit.fairness.perspective import Bools, Floats
from hfkit.fairness.slices.situations import Cases, Search
from hfkit.shared import cluster, evidence, schema, stats
from hfkit.shared.cohorts import Codes

COLUMNS = [
    "component", "slice", "n_search", "n_confirm", "excess_search", "excess_confirm", "low", "high", "p", "q",
    "verdict", "note",
]  # fmt: skip
_PIECES = 10  # so many times the slices wanted are compared with each other for overlap
_BLOCK = 4_000_000  # numbers held at once


@dataclass(frozen=True)
class BlindSpots:
    """The slices that went to the confirming half (COLUMNS, worst first), the leads they are, and evidence rows."""

    table: pd.DataFrame
    leads: pd.DataFrame
    evidence: pd.DataFrame


@dataclass(frozen=True)
class Contrast:
    """Slices against all other rows, an array a slice: rows, the fewest people on either side, excess, its error."""

    rows: Codes
    people: Codes
    excess: Floats
    error: Floats
    df: Floats

    def p(self, margin: float) -> Floats:
        """One-sided p value of "the excess is at most `margin`"; NaN without spread or with fewer than two clusters."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where((self.error > 0) & (self.df > 0), (self.excess - margin) / self.error, np.nan)
        return np.asarray(stdtr(self.df, -t), float)


def contrast(member: csr_array, loss: Floats, *clusters: Codes) -> Contrast:
    """How much more do the rows of each slice cost than all others, and how sure is that?

    The error is that of the score test, from residuals of the mean of all rows, clustered (see shared.cluster); this
    holds where a slice is small or all alike. Student t with the fewest clusters on either side, less one, as degrees
    of freedom. The last clusters are people.

    >>> member = csr_array(np.array([[1], [1], [0], [0]]))
    >>> rows = np.arange(4)
    >>> c = contrast(member, np.array([1.0, 2.0, 0.0, 1.0]), rows, rows)
    >>> c.excess.tolist(), c.error.round(4).tolist(), c.df.tolist()
    ([1.0], [0.8165], [1.0])
    """
    n, slices = member.shape
    inside = np.asarray(member.sum(axis=0), np.int64).reshape(slices)
    x = loss - loss.mean() if n else loss
    variance, excess = np.full(slices, np.nan), np.full(slices, np.nan)
    step = max(_BLOCK // max(n, 1), 1)
    for start in range(0, slices, step):
        part = slice(start, start + step)
        k = inside[part].astype(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = x[:, None] * (member[:, part].toarray() * (1 / k + 1 / (n - k)) - 1 / (n - k))
        shares = np.nan_to_num(shares, posinf=0.0, neginf=0.0)
        excess[part] = shares.sum(axis=0)
        variance[part] = cluster.variance(shares, *clusters) if n else np.nan
    fewest = np.array([_sides(member, c) for c in clusters])
    variance[variance < cluster.NOTHING] = 0.0
    df = np.maximum(fewest.min(axis=0) - 1.0, 0.0)
    return Contrast(inside, fewest[-1], excess, np.sqrt(variance), df)


def _sides(member: csr_array, code: Codes) -> Codes:
    """The clusters with a row inside each slice, or outside of it, whichever are fewer."""
    count = int(code.max(initial=-1)) + 1
    gather = csr_array((np.ones(len(code), np.int64), (code, np.arange(len(code)))), shape=(count, len(code)))
    touched = gather @ member
    whole = touched.tocsc()
    size = np.bincount(code, minlength=count)
    full = np.array([(whole.data[a:b] == size[whole.indices[a:b]]).sum() for a, b in
                     zip(whole.indptr[:-1], whole.indptr[1:], strict=True)], np.int64)  # fmt: skip
    within = np.diff(whole.indptr).astype(np.int64)
    return np.asarray(np.minimum(within, count - full), np.int64)


def blind_spots(spots: list[Cases], *, settings: Search) -> BlindSpots:
    """Where is the model worse for a group in a kind of situation? The proposed slices, confirmed on the other half.

    Slices are proposed by how surely (one-sided p) their mean loss exceeds that of all other rows by more than the
    margin, and tested once more on items that had no part in that. q is p adjusted by Benjamini and Hochberg (1995).
    fail: q <= fdr; pass: not beyond the margin; else inconclusive. Each bound holds alone with a probability of
    1 - fdr x (number of fails, at least 1) / (slices tested), so that low >= margin exactly where q <= fdr (Benjamini
    and Yekutieli 2005, JASA 100:71). Excess is in units of the loss, lower is better. Slices with fewer than
    `min_rows` rows or people in a half, inside or outside, are not looked at. No slice: an evidence row says why.
    """
    parts = [_propose(c, settings) for c in spots]
    table = pd.concat([t for t, _ in parts], ignore_index=True) if parts else pd.DataFrame(columns=_PROPOSED)
    table = table.sort_values(["p_search", "component", "slice"], kind="stable").head(settings.most)
    table = table.assign(q=stats.benjamini_hochberg(table["p"].to_numpy(float)))
    tested = max(int(table["p"].notna().sum()), 1)
    tail = settings.fdr * max(int((table["q"] <= settings.fdr).sum()), 1) / tested
    half = table["error"].to_numpy(float) * stdtrit(table["df"].to_numpy(float), 1 - tail)
    half = np.where(table["p"].notna(), half, np.nan)
    table = table.assign(low=table["excess_confirm"] - half, high=table["excess_confirm"] + half)
    read = [_verdict(r, settings) for r in table.to_dict("records")]
    table = table.assign(verdict=[v for v, _ in read], note=[n for _, n in read])
    table = table.sort_values(["q", "p", "component", "slice"], kind="stable")[COLUMNS].reset_index(drop=True)
    return BlindSpots(table, _leads(table, settings), _counts(table, spots, [n for _, n in parts], settings))


_PROPOSED = ["component", "slice", "n_search", "n_confirm", "excess_search", "excess_confirm", "p", "p_search", "error",
             "df", "before", "merged"]  # fmt: skip


def _propose(c: Cases, settings: Search) -> tuple[pd.DataFrame, int]:
    """The slices of one component and perspective that the searching half proposes; how many it looked at."""
    rows = np.flatnonzero(~c.confirm), np.flatnonzero(c.confirm)
    first, second = (contrast(c.member[r], c.loss[r], *_renumbered(c, r)) for r in rows)
    looked = np.minimum.reduce([first.people, first.rows, second.people, second.rows]) >= settings.min_rows
    p = first.p(settings.margin)
    worse = np.flatnonzero(looked & (first.excess > settings.margin) & ~np.isnan(p))
    worse = worse[np.argsort(p[worse], kind="stable")][: _PIECES * settings.most]
    alike = _alike(csr_array(c.member[rows[0]][:, worse]), settings.overlap)
    kept, merged = _distinct(alike | _no_worse([c.names[j] for j in worse], first.excess[worse], first.error[worse]))
    pick = worse[kept][: settings.most]
    names = [[c.names[worse[j]] for j in own] for own in merged][: settings.most]
    before = contrast(c.member[rows[1]][:, pick], c.before[rows[1]], *_renumbered(c, rows[1])).excess
    return pd.DataFrame({
        "component": c.component, "slice": [c.names[j] for j in pick], "n_search": first.rows[pick],
        "n_confirm": second.rows[pick], "excess_search": first.excess[pick], "excess_confirm": second.excess[pick],
        "p": second.p(settings.margin)[pick], "p_search": p[pick], "error": second.error[pick], "df": second.df[pick],
        "before": before, "merged": pd.Series(names, dtype=object),
    }), int(looked.sum())  # fmt: skip


def _renumbered(c: Cases, rows: Codes) -> list[Codes]:
    return [cluster.codes(code[rows]) for code in c.clusters]


def _alike(member: csr_array, overlap: float) -> Bools:
    """Which slices share more than `overlap` of their rows (rows of both over rows of either)?"""
    shared = (member.T @ member).toarray()
    size = np.diag(shared)
    return np.asarray(shared > overlap * (size[:, None] + size[None, :] - shared))


def _no_worse(names: list[str], excess: Floats, error: Floats) -> Bools:
    """Which slices (row) are parts of a group (column) and not worse than it by more than one standard error?"""
    part = [[a.startswith(f"{b} & ") for b in names] for a in names]
    inside = np.array(part, bool).reshape(len(names), len(names))
    return inside & (excess[:, None] <= excess[None, :] + error[:, None])


def _distinct(alike: Bools) -> tuple[list[int], list[list[int]]]:
    """Which slices stand for themselves, best first, and which others each of them stands for too?

    >>> _distinct(np.array([[1, 0, 0], [0, 1, 0], [1, 0, 1]], bool))
    ([0, 1], [[2], []])
    """
    kept: list[int] = []
    merged: list[list[int]] = []
    for j in range(len(alike)):
        near = [k for k, first in enumerate(kept) if alike[j, first]]
        if near:
            merged[near[0]].append(j)
        else:
            kept.append(j)
            merged.append([])
    return kept, merged


def _verdict(row: dict[str, object], settings: Search) -> tuple[str, str]:
    """What the confirming half says about one slice, and why."""
    value, low, high, q, before = (float(row[k]) for k in ("excess_confirm", "low", "high", "q", "before"))  # type: ignore[arg-type]
    names = row["merged"] if isinstance(row["merged"], list) else []
    more = f"; stands for {len(names)} other slices: {', '.join(names[:3])}" if names else ""
    if math.isnan(q):
        return schema.INCONCLUSIVE, "undefined: all rows of the confirming half cost the same" + more
    if q <= settings.fdr:
        already = "" if math.isnan(before) else f"; the baseline's excess there is {before:.3g}"
        return "fail", f"confirmed worse on items that had no part in the search{already}{more}"
    if high <= settings.margin:
        return "pass", "looked worse by chance: within the margin on the confirming half" + more
    if value <= settings.margin:
        return schema.INCONCLUSIVE, "the estimate of the confirming half is within the margin" + more
    n = int(row["n_confirm"])  # type: ignore[call-overload]
    return schema.INCONCLUSIVE, evidence.settle(value, low, high, n=n, margin=settings.margin, better="lower") + more


def _leads(table: pd.DataFrame, settings: Search) -> pd.DataFrame:
    """The slices in the shape of leads."""
    rows = [
        evidence.row(
            f"slice excess {settings.loss}", value=float(r.excess_confirm), low=float(r.low), high=float(r.high),
            n=int(r.n_confirm), component=r.component, group=r.slice, better="lower", verdict=r.verdict, note=r.note,
        )
        for r in table.itertuples()
    ]  # fmt: skip
    return schema.shape(evidence.table(rows).assign(q=table["q"].to_numpy(float)), schema.LEADS)


def _counts(table: pd.DataFrame, spots: list[Cases], looked: list[int], settings: Search) -> pd.DataFrame:
    """How many slices were looked at in each component, and how many were confirmed worse."""
    rows = []
    for component in sorted({c.component for c in spots}) or ["all"]:
        tried = sum(k for c, k in zip(spots, looked, strict=True) if c.component == component)
        own = table[table["component"] == component]
        note = f"{tried} slices looked at, {len(own)} went to the confirming half" if tried else (
            f"no slice has {settings.min_rows} rows and people in each half: nobody can be compared"
        )  # fmt: skip
        rows.append(evidence.row(
            "slices confirmed worse", value=float((own["verdict"] == "fail").sum()) if tried else math.nan,
            n=max((int(c.confirm.sum()) for c in spots if c.component == component), default=0),
            component=component, better="lower", note=note,
        ))  # fmt: skip
    return evidence.table(rows)
