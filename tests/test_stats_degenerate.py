"""Every measure of shared.stats where there is nothing, one, or no difference: NaN, never a number by accident.

CASES holds what each measure says in each of KINDS. A number where one might expect NaN carries the reason why it is
the right answer; a kind that a measure cannot meet is in CANNOT_BE, with the reason too.
"""

import inspect
import math

import numpy as np
import pytest

from hfkit.shared import stats

NAN = math.nan
KINDS = ("empty", "one", "one class", "ties", "missing", "constant", "perfect", "no weight")
FIVE = np.arange(5.0)


def rng():
    return np.random.default_rng(0)


def boot(x, **more):
    return stats.bootstrap(np.mean, x, rng=rng(), n_boot=50, **more)


def ends(draws, units=10):
    return stats.percentile_interval(draws, units=units)


def shares(y, score):
    value, of_rows = stats.auc_shares(y, score)
    return [value, *of_rows]


def drawn(counts):
    return stats.resample_counts(counts, rng=rng(), n_boot=2).tolist()


POINT = "a sample without spread: Student's and percentile intervals are that point by definition"
EVEN = "no row is placed better or worse than the mean"
CASES = [  # measure, kind, what it says, what is expected, why that is no accident (needed where a number is said)
    ("bootstrap", "empty", lambda: boot([]), (NAN, NAN, NAN), ""),
    ("bootstrap", "empty", lambda: boot([], cluster=[]), (NAN, NAN, NAN), ""),
    ("bootstrap", "one", lambda: boot([3.0]), (3.0, NAN, NAN), "one value is its mean; no bounds"),
    ("bootstrap", "one class", lambda: boot(FIVE, cluster=["a"] * 5), (2.0, NAN, NAN), "one cluster: no bounds"),
    ("bootstrap", "ties", lambda: boot([1, 1, 1, 1]), (1.0, 1.0, 1.0), POINT),
    ("bootstrap", "missing", lambda: boot([0.0, 1.0, NAN]), (NAN, NAN, NAN), ""),
    ("bootstrap", "constant", lambda: boot([0.0] * 9), (0.0, 0.0, 0.0), POINT),
    ("percentile_interval", "empty", lambda: ends([]), (NAN, NAN), ""),
    ("percentile_interval", "empty", lambda: ends(np.ones((5, 0))), ([], []), ""),
    ("percentile_interval", "one", lambda: ends(FIVE, units=1), (NAN, NAN), ""),
    ("percentile_interval", "one", lambda: ends(np.ones((5, 2)), units=0), ([NAN] * 2, [NAN] * 2), ""),
    ("percentile_interval", "ties", lambda: ends([0, 0, 0, 1, 1, 1]), (0, 1), "half of the replicates at each end"),
    ("percentile_interval", "missing", lambda: ends([NAN, NAN, 1.0]), (NAN, NAN), ""),
    ("percentile_interval", "missing", lambda: ends([[NAN, 2.0]] * 3), ([NAN, 2.0], [NAN, 2.0]), POINT),
    ("percentile_interval", "constant", lambda: ends(np.zeros(9)), (0, 0), POINT),
    ("resample_counts", "empty", lambda: drawn([]), ([], []), ""),
    ("resample_counts", "one", lambda: drawn([0, 1, 0]), ([0, 1, 0], [0, 1, 0]), "one row is drawn again for sure"),
    ("resample_counts", "one class", lambda: drawn([7, 0]), ([7, 0], [7, 0]), "rows of one cell are drawn for sure"),
    ("resample_counts", "constant", lambda: drawn([0, 0]), ([0, 0], [0, 0]), "counts, no rates: none of none"),
    ("auc", "empty", lambda: stats.auc([], []), NAN, ""),
    ("auc", "one", lambda: stats.auc([1], [0.5]), NAN, ""),
    ("auc", "one class", lambda: stats.auc([1, 1], [0.1, 0.2]), NAN, ""),
    ("auc", "one class", lambda: stats.auc([0, 1], [0.1, 0.2], [1, 0]), NAN, ""),
    ("auc", "ties", lambda: stats.auc([0, 1, 0, 1], [1, 1, 2, 2]), 0.5, "as many pairs in order as not"),
    ("auc", "missing", lambda: stats.auc([0, NAN, 1], [0.1, 0.2, 0.3]), NAN, ""),
    ("auc", "missing", lambda: stats.auc([0, 1], [0.1, NAN]), NAN, ""),
    ("auc", "missing", lambda: stats.auc([0, 1], [0.1, 0.2], [1, NAN]), NAN, ""),
    ("auc", "constant", lambda: stats.auc([0, 1, 1], [0.3] * 3), 0.5, "every pair is tied and counts one half"),
    ("auc", "perfect", lambda: stats.auc([0, 0, 1], [0.1, 0.2, 0.3]), 1.0, "every pair is in order"),
    ("auc", "no weight", lambda: stats.auc([0, 1], [0.1, 0.2], [0, 0]), NAN, ""),
    ("auc_interval", "empty", lambda: stats.auc_interval([], []), (NAN, NAN, NAN), ""),
    ("auc_interval", "one", lambda: stats.auc_interval([1], [0.5]), (NAN, NAN, NAN), ""),
    ("auc_interval", "one class", lambda: stats.auc_interval([0, 0], [0.1, 0.2]), (NAN, NAN, NAN), ""),
    ("auc_interval", "one class", lambda: stats.auc_interval([0, 1, 1], FIVE[:3], list("aaa")), (1, NAN, NAN),
     "every pair is in order; one cluster has no bounds"),
    ("auc_interval", "ties", lambda: stats.auc_interval([0, 1, 0, 1], [1, 1, 2, 2])[0], 0.5, "half of the pairs"),
    ("auc_interval", "missing", lambda: stats.auc_interval([0, 1], [0.1, NAN]), (NAN, NAN, NAN), ""),
    ("auc_interval", "missing", lambda: stats.auc_interval([NAN, 1], [0.1, 0.2]), (NAN, NAN, NAN), ""),
    ("auc_interval", "constant", lambda: stats.auc_interval([0, 1, 1], [0.3] * 3), (0.5, NAN, NAN), "all pairs tied"),
    ("auc_interval", "perfect", lambda: stats.auc_interval([0, 0, 1, 1], FIVE[:4]), (1.0, NAN, NAN), "all in order"),
    ("auc_shares", "empty", lambda: shares([], []), [NAN], ""),
    ("auc_shares", "one", lambda: shares([1], [0.5]), [NAN, 0], "an undefined AUC has no error to share out"),
    ("auc_shares", "one class", lambda: shares([0, 0], [0.1, 0.2]), [NAN, 0, 0], "as above"),
    ("auc_shares", "ties", lambda: shares([0, 1, 0, 1], [1, 1, 2, 2]), [0.5, 0.125, -0.125, -0.125, 0.125],
     "by hand: a placement of 3/4 or 1/4 less 1/2, over two rows"),
    ("auc_shares", "missing", lambda: shares([0, 1], [0.1, NAN]), [NAN, 0, 0], "an undefined AUC has no error"),
    ("auc_shares", "missing", lambda: shares([NAN, 1], [0.1, 0.2]), [NAN, 0, 0], "as above"),
    ("auc_shares", "constant", lambda: shares([0, 1, 1], [0.3] * 3), [0.5, 0, 0, 0], EVEN),
    ("auc_shares", "perfect", lambda: shares([0, 0, 1], [0.1, 0.2, 0.3]), [1.0, 0, 0, 0], EVEN),
    ("log_loss", "empty", lambda: stats.log_loss([], []), NAN, ""),
    ("log_loss", "one", lambda: stats.log_loss([1], [0.0]), -math.log(1e-6), "clipped at 1e-6: dear, but finite"),
    ("log_loss", "one class", lambda: stats.log_loss([1, 1], [0.5, 0.5]), math.log(2), "one class has a loss too"),
    ("log_loss", "ties", lambda: stats.log_loss([0, 1], [0.5, 0.5]), math.log(2), "the coin's loss"),
    ("log_loss", "missing", lambda: stats.log_loss([0, NAN], [0.1, 0.2]), NAN, ""),
    ("log_loss", "missing", lambda: stats.log_loss([0, 1], [0.1, NAN], [1, 0]), NAN, ""),
    ("log_loss", "constant", lambda: stats.log_loss([0, 1] * 3, [0.5] * 6), math.log(2), "the coin's loss"),
    ("log_loss", "perfect", lambda: stats.log_loss([0, 1], [0.0, 1.0]), 1e-6, "clipped at 1e-6: never quite 0"),
    ("log_loss", "no weight", lambda: stats.log_loss([0, 1], [0.1, 0.2], [0, 0]), NAN, ""),
    ("brier", "empty", lambda: stats.brier([], []), NAN, ""),
    ("brier", "one", lambda: stats.brier([1], [0.0]), 1.0, "sure and wrong is the worst there is"),
    ("brier", "one class", lambda: stats.brier([1, 1], [0.5, 0.5]), 0.25, "one class has an error too"),
    ("brier", "ties", lambda: stats.brier([0, 1], [0.5, 0.5]), 0.25, "the coin's error"),
    ("brier", "missing", lambda: stats.brier([0, NAN], [0.1, 0.2]), NAN, ""),
    ("brier", "missing", lambda: stats.brier([0, 1], [0.1, 0.2], [NAN, 1]), NAN, ""),
    ("brier", "constant", lambda: stats.brier([0, 1] * 3, [0.5] * 6), 0.25, "the coin's error"),
    ("brier", "perfect", lambda: stats.brier([0, 1], [0.0, 1.0]), 0.0, "sure and right has no error"),
    ("brier", "no weight", lambda: stats.brier([0, 1], [0.1, 0.2], [0, 0]), NAN, ""),
    ("benjamini_hochberg", "empty", lambda: stats.benjamini_hochberg([]), [], ""),
    ("benjamini_hochberg", "one", lambda: stats.benjamini_hochberg([0.03]), [0.03], "one test needs no adjustment"),
    ("benjamini_hochberg", "ties", lambda: stats.benjamini_hochberg([0.2, 0.2]), [0.2, 0.2], "as many tests as found"),
    ("benjamini_hochberg", "missing", lambda: stats.benjamini_hochberg([NAN, NAN]), [NAN, NAN], ""),
    ("benjamini_hochberg", "missing", lambda: stats.benjamini_hochberg([NAN, 0.03]), [NAN, 0.03], "does not count"),
    ("benjamini_hochberg", "constant", lambda: stats.benjamini_hochberg([1.0] * 3), [1.0] * 3, "p = 1 is never found"),
    ("benjamini_hochberg", "perfect", lambda: stats.benjamini_hochberg([0.0, 1.0]), [0.0, 1.0], "p = 0 stands anyway"),
]  # fmt: skip

UNWEIGHTED, NO_CLASS = "takes no weights", "takes no classes"
CANNOT_BE = {
    ("bootstrap", "perfect"): "a statistic of anything", ("bootstrap", "no weight"): UNWEIGHTED,
    ("percentile_interval", "one class"): NO_CLASS, ("percentile_interval", "perfect"): "replicates of anything",
    ("percentile_interval", "no weight"): UNWEIGHTED,
    ("resample_counts", "ties"): "cells have no order", ("resample_counts", "perfect"): "cells have no score",
    ("resample_counts", "missing"): "whole numbers: a count that is missing cannot be written in one",
    ("resample_counts", "no weight"): UNWEIGHTED, ("auc_interval", "no weight"): UNWEIGHTED,
    ("auc_shares", "no weight"): UNWEIGHTED,
    ("benjamini_hochberg", "one class"): NO_CLASS, ("benjamini_hochberg", "no weight"): UNWEIGHTED,
}  # fmt: skip


@pytest.mark.parametrize(
    ("call", "expected"), [c[2:4] for c in CASES], ids=[f"{c[0]}-{c[1]}-{i}" for i, c in enumerate(CASES)]
)
def test_says_what_is_known_and_no_more(call, expected):
    got = call()
    assert np.shape(got) == np.shape(expected)
    np.testing.assert_allclose(np.asarray(got, float), np.asarray(expected, float), atol=1e-5, rtol=0)


def test_every_number_has_a_reason_and_every_measure_every_kind():
    for measure, kind, _, expected, why in CASES:
        assert bool(why) == bool((~np.isnan(np.asarray(expected, float))).any()), (measure, kind)
    public = [n for n, f in inspect.getmembers(stats, inspect.isfunction) if f.__module__ == stats.__name__]
    wanted = {(n, kind) for n in public if not n.startswith("_") for kind in KINDS}
    assert wanted == {c[:2] for c in CASES} | set(CANNOT_BE)
    assert not {c[:2] for c in CASES} & set(CANNOT_BE)


def table(seed, n=257):
    """Rows with ties in every column, weights and clusters."""
    g = np.random.default_rng(seed)
    return {
        "y": (g.random(n) < 0.4).astype(float), "soft": g.integers(0, 11, n) / 10, "p": g.integers(0, 40, n) / 37,
        "w": g.integers(0, 9, n) / 7, "x": np.round(g.normal(size=n), 1) / 3,
        "who": np.array([f"r{k}" for k in g.integers(0, 30, n)]),
    }  # fmt: skip


WHOLE = {  # of all rows, one answer
    "bootstrap": lambda t: stats.bootstrap(np.mean, t["x"], rng=rng(), n_boot=20),
    "bootstrap, clusters": lambda t: stats.bootstrap(
        stats.brier, t["y"], t["p"], rng=rng(), n_boot=20, cluster=t["who"]),
    "bootstrap, two columns a row": lambda t: stats.bootstrap(
        lambda a: float(a.mean()), np.column_stack([t["x"], t["w"]]), rng=rng(), n_boot=20),
    "percentile_interval": lambda t: stats.percentile_interval(t["x"], units=30),
    "auc": lambda t: stats.auc(t["y"], t["p"]),
    "auc, weights": lambda t: stats.auc(t["y"], t["p"], t["w"]),
    "auc_interval": lambda t: stats.auc_interval(t["y"], t["p"]),
    "auc_interval, clusters": lambda t: stats.auc_interval(t["y"], t["p"], t["who"]),
    "log_loss": lambda t: stats.log_loss(t["soft"], t["p"]),
    "log_loss, weights": lambda t: stats.log_loss(t["soft"], t["p"], t["w"]),
    "brier": lambda t: stats.brier(t["soft"], t["p"]),
    "brier, weights": lambda t: stats.brier(t["soft"], t["p"], t["w"]),
}  # fmt: skip
EACH = {  # of each row, an answer of its own
    "auc_shares": lambda t: (stats.auc_shares(t["y"], t["p"])[1],),
    "benjamini_hochberg": lambda t: (stats.benjamini_hochberg(t["p"]),),
}  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("measure", [*WHOLE, *EACH])
def test_the_order_of_rows_does_not_change_a_bit(measure, seed):
    """resample_counts takes counts, which know no order of rows."""
    rows = table(seed)
    for again in range(10):
        order = np.random.default_rng(again).permutation(len(rows["y"]))
        mixed = {name: column[order] for name, column in rows.items()}
        if measure in WHOLE:
            assert np.asarray(WHOLE[measure](rows)).tobytes() == np.asarray(WHOLE[measure](mixed)).tobytes()
        else:
            before, after = np.asarray(EACH[measure](rows)), np.asarray(EACH[measure](mixed))
            assert np.ascontiguousarray(before[:, order]).tobytes() == after.tobytes()
