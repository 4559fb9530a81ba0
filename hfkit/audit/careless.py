"""Who answers without looking? A rater whose answers do not depend on what the others see, against one who errs.

An honest rater has a sensitivity and a specificity near those of the crowd, however strict or mild; a careless one says
yes at some rate whatever the item is: a guess, always the same answer, or nearly always. Taste is no carelessness.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import betaln, expit, logit, logsumexp

Floats = npt.NDArray[np.float64]
LEAN = 4.0  # answers that the crowd's errors count for in a rater's own
KEENNESS = 0.3  # how much honest raters differ in telling event from none: sd of the factor of the log odds
LEAST_SPREAD = 0.3  # of strictness, in log odds
BINS = 24  # of what the others say
ROUNDS = 4
HONEST = 0.01  # of honest raters, the share flagged at most
STRICT, KEEN = np.linspace(-2.5, 2.5, 15), np.linspace(0.4, 1.6, 7)


class Careless(NamedTuple):
    """By rater_id: log Bayes factor of careless over honest, p value under honest, shared votes, who is careless."""

    evidence: pd.Series
    p: pd.Series
    shared: pd.Series
    careless: pd.Series


def who_is_careless(
    ballots: pd.DataFrame, *, min_answers: int, rng: np.random.Generator, n_draws: int = 400
) -> Careless:
    """Whose answers do not depend on what is asked about?

    `ballots`: one vote a row (reliability.votes). Each vote is set against what the others on the item say, weighted
    by how they err and by how probably they are honest themselves, in ROUNDS rounds; own votes are left out.
    evidence: how much likelier a rater's votes are under one rate of yes for all (careless; any rate) than under a
    sensitivity and a specificity like the crowd's, but for a strictness that differs as raters' do here (honest). p:
    how often an honest rater with as many votes on such items has evidence as strong (`n_draws` drawn). Careless:
    evidence above 0 and p at most HONEST, so that of a hundred honest raters about one is flagged however few answers
    they have. Fewer than `min_answers` shared votes: never. Components add up. After Dawid and Skene (1979) and the
    spammer score of Raykar and Yu (2012), JMLR 13:491.
    """
    raters = np.unique(ballots["rater_id"].dropna().to_numpy(str))
    parts = [_Component(part, raters) for _, part in ballots.groupby("component", sort=True)]
    doubt = np.zeros(len(raters))
    evidence = shared = np.zeros(len(raters))
    for _ in range(ROUNDS):
        made = [part.round(doubt) for part in parts]
        evidence = np.sum([m[0] for m in made], axis=0) if made else evidence
        shared = np.sum([m[1] for m in made], axis=0) if made else shared
        doubt = np.where(shared >= min_answers, expit(evidence), 0.0)
    p = np.ones(len(raters))
    for at in np.flatnonzero((evidence > 0) & (shared >= min_answers)):
        drawn = np.sum([part.honest(int(at), rng, n_draws) for part in parts], axis=0)
        p[at] = (1 + (drawn >= evidence[at]).sum()) / (n_draws + 1)
    index = pd.Index(raters, name="rater_id", dtype="str")
    hit = (evidence > 0) & (p <= HONEST) & (shared >= min_answers)
    return Careless(*(pd.Series(v, index=index) for v in (evidence, p, shared.astype(np.int64), hit)))


class _Component:
    """The votes of one component, and what each round makes of them."""

    def __init__(self, part: pd.DataFrame, raters: npt.NDArray[np.str_]) -> None:
        self.size = len(raters)
        self.item = np.unique(part["unit"].to_numpy(), return_inverse=True)[1]
        name = part["rater_id"]
        at = np.searchsorted(raters, name.fillna("").to_numpy(str)) if len(raters) else np.zeros(len(part), np.int64)
        self.rater = np.where(name.notna(), at, self.size).astype(np.int64)  # the last one is everybody without a name
        self.says = part["label"].to_numpy(float)
        self.others = np.bincount(self.item)[self.item] > 1
        share = np.bincount(self.item, weights=self.says) / np.bincount(self.item)
        self.event = np.clip(share, 0.1, 0.9)[self.item]

    def round(self, careless: Floats) -> tuple[Floats, Floats]:
        """Log Bayes factor of careless over honest of each rater, and how many shared votes it rests on."""
        weight = np.r_[1.0 - careless, 1.0][self.rater]
        for _ in range(3):
            yes, no, crowd, prior = self._rates(weight)
            own = np.where(self.says == 1, np.log(yes / no), np.log((1 - yes) / (1 - no))) * weight
            total = np.bincount(self.item, weights=own)[self.item] + logit(prior)
            self.event = np.asarray(expit(np.clip(total, -9, 9)), float)
        rest = np.asarray(expit(np.clip(total - own, -9, 9)), float)[self.others]
        rater, says = self.rater[self.others], self.says[self.others]
        cell = np.minimum((rest * BINS).astype(np.int64), BINS - 1)
        counts = np.zeros((2, self.size + 1, BINS))
        np.add.at(counts, (says.astype(np.int64), rater, cell), 1.0)
        middle = np.bincount(cell, weights=rest, minlength=BINS) / np.maximum(np.bincount(cell, minlength=BINS), 1)
        votes = counts.sum(axis=2)[:, : self.size]
        honest = _Crowd(float(logit(crowd[0])), float(logit(crowd[1])), _spread(votes[1], votes.sum(axis=0)))
        self.counts, self.middle, self.crowd = counts, middle, honest
        gain = _log_careless(counts) - _log_honest(counts, middle, honest)
        return gain[: self.size], counts.sum(axis=(0, 2))[: self.size]

    def honest(self, rater: int, rng: np.random.Generator, n_draws: int) -> Floats:
        """The evidence of honest raters with the votes of this one."""
        n = self.counts[:, rater].sum(axis=0).astype(np.int64)
        strict = self.crowd.spread * rng.normal(size=(n_draws, 1))
        sens, alarm = self.crowd.rates(strict, np.clip(1 + KEENNESS * rng.normal(size=(n_draws, 1)), 0.4, 1.6))
        yes = rng.binomial(n, self.middle * sens + (1 - self.middle) * alarm).astype(float)
        drawn = np.stack([n - yes, yes])
        return np.asarray(_log_careless(drawn) - _log_honest(drawn, self.middle, self.crowd), float)

    def _rates(self, weight: Floats) -> tuple[Floats, Floats, tuple[float, float], float]:
        """How often each vote's rater says yes where the event holds and where not; the crowd's; the event share."""
        e, says, n = self.event, self.says, self.size + 1
        held, absent = weight * e, weight * (1 - e)
        crowd = (
            float(np.clip((held @ says + 2) / (held.sum() + 3), 0.05, 0.98)),
            float(np.clip((absent @ says + 1) / (absent.sum() + 3), 0.02, 0.95)),
        )
        yes, no = (
            (np.bincount(self.rater, weights=v * says, minlength=n) + LEAN * c)
            / (np.bincount(self.rater, weights=v, minlength=n) + LEAN)
            for v, c in ((e, crowd[0]), (1 - e, crowd[1]))
        )
        yes, no = (np.clip(v, 0.01, 0.99)[self.rater] for v in (yes, no))
        return yes, no, crowd, float(np.clip(np.average(e, weights=weight), 0.01, 0.99))


def _log_careless(counts: Floats) -> Floats:
    """One rate for all, any rate alike: beta-binomial; always the same answer is as likely as any other rate."""
    no, yes = counts.sum(axis=2)
    return np.asarray(betaln(yes + 0.5, no + 0.5) - betaln(0.5, 0.5), float)


class _Crowd(NamedTuple):
    """Honest raters: log odds of a yes where the event holds and where not, and the spread of their strictness."""

    held: float
    absent: float
    spread: float

    def rates(self, strict: Floats, keen: Floats) -> tuple[Floats, Floats]:
        """Sensitivity and false alarm rate of raters who are so much stricter, and so many times as keen."""
        middle, half = (self.held + self.absent) / 2 + strict, (self.held - self.absent) / 2 * keen
        return np.asarray(expit(middle + half), float), np.asarray(expit(middle - half), float)


def _spread(yes: Floats, n: Floats) -> float:
    """How much do raters differ in strictness? Robust standard deviation of their log odds of yes, beyond chance."""
    kept = n >= 10
    if kept.sum() < 5:
        return 0.5
    odds = np.log((yes[kept] + 0.5) / (n[kept] - yes[kept] + 0.5))
    chance = float(np.median(1 / (yes[kept] + 0.5) + 1 / (n[kept] - yes[kept] + 0.5)))
    seen = (float(np.median(np.abs(odds - np.median(odds)))) / 0.6745) ** 2
    return math.sqrt(max(seen - chance, LEAST_SPREAD**2))


def _log_honest(counts: Floats, event: Floats, crowd: _Crowd) -> Floats:
    """A sensitivity and a false alarm rate like those of the crowd, summed over how strict and how keen a rater is."""
    strict, keen = (m.ravel() for m in np.meshgrid(STRICT * crowd.spread, KEEN, indexing="ij"))
    weight = -((strict / crowd.spread) ** 2 + ((keen - 1) / KEENNESS) ** 2) / 2
    sens, alarm = crowd.rates(strict, keen)
    yes = event[:, None] * sens + (1 - event)[:, None] * alarm
    log = counts[1] @ np.log(yes) + counts[0] @ np.log1p(-yes)
    return np.asarray(logsumexp(log + weight - logsumexp(weight), axis=1), float)
