"""Blind spots: where is the new model worse for a group of people in a kind of situation that nobody declared?

One half of the test items proposes slices, the other half confirms them, so that a slice that only looked bad by chance
is not reported. Two halves as in Cox (1975), Biometrika 62:441; slices as in Chung et al. (2019), ICDE, "Slice Finder".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_array
from scipy.special import stdtr, stdtrit

from hfkit.fairness.assess import settle
from hfkit.fairness.publish import coarse
from hfkit.fairness.rows import MODELS, UNIT, Ints
from hfkit.fairness.situations import Cases, Floats, Search, cases
from hfkit.shared import disclosure, evidence, stats

__all__ = ["COLUMNS", "BlindSpots", "Cases", "Contrast", "Search", "blind_spots", "cases", "contrast"]

COLUMNS = [
    "component", "slice", "n_search", "n_confirm", "excess_search", "excess_confirm", "low", "high", "p", "q",
    "verdict", "note",
]  # fmt: skip
_PIECES = 10  # so many times the slices wanted are compared with each other for overlap


@dataclass(frozen=True)
class BlindSpots:
    """The slices that went to the confirming half (COLUMNS, worst first) and the evidence rows."""

    table: pd.DataFrame
    evidence: pd.DataFrame


@dataclass(frozen=True)
class Contrast:
    """Slices against all other rows, an array a slice: rows and people inside, the fewest units, excess, its error."""

    rows: Ints
    people: Ints
    outside: Ints
    excess: Floats
    error: Floats
    df: Floats

    def p(self, margin: float) -> Floats:
        """One-sided p value of "the excess is at most `margin`"; NaN without spread or with fewer than two clusters."""
        return np.asarray(stdtr(self.df, -self.t(margin)), float)

    def t(self, margin: float) -> Floats:
        """Student's t of the excess over `margin`."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where((self.error > 0) & (self.df > 0), (self.excess - margin) / self.error, np.nan)


def contrast(member: csr_array, loss: Floats, item: Ints, unit: Ints) -> Contrast:
    """How much more do the rows of each slice cost than all others, and how sure is that?

    The error is that of the score test: residuals from the mean of all rows, summed by item plus by unit minus by row
    (Cameron, Gelbach and Miller 2011, JBES 29:238), never below that of independent rows; this holds where a slice is
    small or all alike. Student t with the fewest clusters on either side, less one, as degrees of freedom.

    >>> member = csr_array(np.array([[1], [1], [0], [0]]))
    >>> rows = np.arange(4)
    >>> found = contrast(member, np.array([1.0, 2.0, 0.0, 1.0]), rows, rows)
    >>> found.excess.tolist(), found.error.round(4).tolist(), found.df.tolist()
    ([1.0], [0.7071], [1.0])
    """
    n = len(loss)
    inside = np.asarray(member.sum(axis=0), np.int64).reshape(member.shape[1])
    x = loss - loss.mean() if n else loss
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = (1.0 / inside, 1.0 / (n - inside))
        excess = (member.T @ x) * (scale[0] + scale[1])
        parts = [_by(member, x, code, scale) for code in (np.arange(n), item, unit)]
        alone, by_item, by_unit = (v for v, _, _ in parts)
        variance = np.maximum(by_item + by_unit - alone, alone)
    fewest = np.min([[a, b] for _, a, b in parts], axis=(0, 1))
    variance[variance < 1e-20] = 0.0
    df = np.maximum(fewest - 1.0, 0.0)
    return Contrast(inside, parts[2][1], parts[2][2], excess, np.sqrt(variance), df)


def _by(member: csr_array, x: Floats, code: Ints, scale: tuple[Floats, Floats]) -> tuple[Floats, Ints, Ints]:
    """Variance of each slice's excess by the sums of clusters, and the clusters with a row inside and outside of it.

    A cluster adds own x (1/in + 1/out) - total x 1/out, so that the clusters no slice touches are summed once.
    """
    row, column = member.nonzero()
    count = int(code.max(initial=-1)) + 1
    pair, at, held = np.unique(column * max(count, 1) + code[row], return_inverse=True, return_counts=True)
    which, cluster = pair // max(count, 1), pair % max(count, 1)
    own = np.bincount(at, weights=x[row], minlength=len(pair))
    total, size = np.bincount(code, weights=x, minlength=count), np.bincount(code, minlength=count)
    both, slices = scale[0] + scale[1], member.shape[1]
    square = np.bincount(which, weights=own**2, minlength=slices)
    cross = np.bincount(which, weights=own * total[cluster], minlength=slices)
    variance = both**2 * square - 2 * both * scale[1] * cross + scale[1] ** 2 * (total**2).sum()
    whole = np.bincount(which, weights=held == size[cluster], minlength=slices).astype(np.int64)
    touched = np.bincount(which, minlength=slices)
    return variance, touched, (count - whole).astype(np.int64)


def blind_spots(found: list[Cases], *, settings: Search) -> BlindSpots:
    """Where is the model worse for a group in a kind of situation? The proposed slices, confirmed on the other half.

    Slices are proposed by how surely (one-sided p) their mean loss exceeds that of all other rows by more than the
    margin, and tested once more on items that had no part in that. q is p adjusted by Benjamini and Hochberg (1995).
    fail: q <= fdr; info: not beyond the margin; else cannot tell. Each bound holds alone with a probability of
    1 - fdr x (number of fails, at least 1) / (slices tested), so that low >= margin exactly where q <= fdr (Benjamini
    and Yekutieli 2005, JASA 100:71). Excess is in units of the loss, lower is better. Slices with fewer than
    `min_group` rows or people in a half, inside or outside, are not looked at. No slice: an evidence row says why.
    """
    parts = [_propose(c, settings) for c in found]
    table = pd.concat([t for t, _ in parts], ignore_index=True) if parts else pd.DataFrame(columns=_PROPOSED)
    table = table.sort_values(["p_search", "component", "slice"], kind="stable").head(settings.most)
    table = table.assign(q=stats.benjamini_hochberg(table["p"].to_numpy(float)))
    tested = max(int(table["p"].notna().sum()), 1)
    tail = settings.fdr * max(int((table["q"] <= settings.fdr).sum()), 1) / tested
    half = table["error"].to_numpy(float) * stdtrit(table["df"].to_numpy(float), 1 - tail)
    half = np.where(table["p"].notna(), half, np.nan)
    table = table.assign(low=table["excess_confirm"] - half, high=table["excess_confirm"] + half)
    values = ["excess_confirm", "low", "high", "excess_search"]
    table = coarse(table, counts=["n_search", "n_confirm"], values=values, round_to=settings.round_to)
    if settings.round_to > 1:
        table = table.assign(**{c: np.ceil(table[c].to_numpy(float) * 1000 - 1e-9) / 1000 for c in ("p", "q")})
    told = [_verdict(r, settings) for r in table.to_dict("records")]
    table = table.assign(verdict=[v for v, _ in told], note=[n for _, n in told])
    table = table.sort_values(["q", "p", "component", "slice"], kind="stable")[COLUMNS].reset_index(drop=True)
    return BlindSpots(table, _evidence(table, found, [n for _, n in parts], settings))


_PROPOSED = ["component", "slice", "n_search", "n_confirm", "excess_search", "excess_confirm", "p", "p_search", "error",
             "df", "before", "merged", "unit"]  # fmt: skip


def _propose(c: Cases, settings: Search) -> tuple[pd.DataFrame, int]:
    """The slices of one component and perspective that the searching half proposes; how many it looked at."""
    sides = [contrast(c.member[rows], c.loss[rows], c.item[rows], c.unit[rows]) for rows in _rows(c)]
    large = [np.minimum(np.minimum(s.people, s.outside), s.rows) >= settings.min_group for s in sides]
    looked = large[0] & large[1]
    p = sides[0].p(settings.margin)
    worse = np.flatnonzero(looked & (sides[0].excess > settings.margin) & ~np.isnan(p))
    worse = worse[np.argsort(p[worse], kind="stable")][: _PIECES * settings.most]
    alike = _alike(csr_array(c.member[_rows(c)[0]][:, worse]), settings.overlap)
    kept, merged = _distinct(
        alike | _no_worse([c.names[j] for j in worse], sides[0].excess[worse], sides[0].error[worse])
    )
    pick, second = worse[kept][: settings.most], sides[1]
    told = [[c.names[worse[j]] for j in own] for own in merged][: settings.most]
    rows = _rows(c)[1]
    before = contrast(c.member[rows][:, pick], c.other[rows], c.item[rows], c.unit[rows]).excess
    return pd.DataFrame({
        "component": c.component, "slice": [c.names[j] for j in pick], "n_search": sides[0].rows[pick],
        "n_confirm": second.rows[pick], "excess_search": sides[0].excess[pick], "excess_confirm": second.excess[pick],
        "p": second.p(settings.margin)[pick], "p_search": p[pick], "error": second.error[pick], "df": second.df[pick],
        "before": before, "merged": pd.Series(told, dtype=object), "unit": UNIT[c.perspective],
    }), int(looked.sum())  # fmt: skip


def _rows(c: Cases) -> tuple[Ints, Ints]:
    return np.flatnonzero(~c.confirm), np.flatnonzero(c.confirm)


def _alike(member: csr_array, overlap: float) -> npt.NDArray[np.bool_]:
    """Which slices share more than `overlap` of their rows (rows of both over rows of either)?"""
    shared = (member.T @ member).toarray()
    size = np.diag(shared)
    return np.asarray(shared > overlap * (size[:, None] + size[None, :] - shared))


def _no_worse(names: list[str], excess: Floats, error: Floats) -> npt.NDArray[np.bool_]:
    """Which slices (row) are parts of a group (column) and not worse than it by more than one standard error?"""
    part = [[a.startswith(f"{b} & ") for b in names] for a in names]
    inside = np.array(part, bool).reshape(len(names), len(names))
    return inside & (excess[:, None] <= excess[None, :] + error[:, None])


def _distinct(alike: npt.NDArray[np.bool_]) -> tuple[list[int], list[list[int]]]:
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
        return "cannot tell", "undefined: all rows of the confirming half cost the same" + more
    if q <= settings.fdr:
        other = MODELS[1 - MODELS.index(settings.model)]
        known = "" if math.isnan(before) else f"; the {other}'s excess there is {before:.3g}"
        return "fail", f"confirmed worse on items that had no part in the search{known}{more}"
    if high <= settings.margin:
        return "info", "looked worse by chance: within the margin on the confirming half" + more
    if value <= settings.margin:
        return "info", "not confirmed: the estimate of the confirming half is within the margin" + more
    n = int(row["n_confirm"])  # type: ignore[call-overload]
    return "cannot tell", settle(value, low, high, n=n, margin=settings.margin, better="lower") + more


def _evidence(table: pd.DataFrame, found: list[Cases], looked: list[int], settings: Search) -> pd.DataFrame:
    """One row a tested slice, and one a component that says how many slices were looked at."""
    name = f"slice excess {settings.loss}" + ("" if settings.model == "candidate" else f" ({settings.model})")
    rows = [
        evidence.row(
            name, value=float(r.excess_confirm), low=float(r.low), high=float(r.high), n=int(r.n_confirm),
            component=r.component, group=r.slice, better="lower", verdict=r.verdict, note=r.note,
        )
        for r in table.itertuples()
    ]  # fmt: skip
    for component in sorted({c.component for c in found}) or ["all"]:
        tried = sum(k for c, k in zip(found, looked, strict=True) if c.component == component)
        rest = [
            int(disclosure.round_counts(c.confirm.sum(), settings.round_to)) for c in found if c.component == component
        ]
        own = table[table["component"] == component]
        failed = float((own["verdict"] == "fail").sum()) if tried else math.nan
        note = f"slices looked at, {len(own)} went to the confirming half" if tried else (
            f"no slice has {settings.min_group} rows and people in each half: nobody can be compared"
        )  # fmt: skip
        rows.append(evidence.row(
            name.replace("excess", "count, confirmed worse by"), value=failed, n=max(rest, default=0),
            component=component, better="lower", verdict="info" if tried else "cannot tell", note=note,
        ))  # fmt: skip
    return evidence.table(rows)
