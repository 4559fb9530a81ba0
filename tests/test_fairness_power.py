"""Power: hand arithmetic, and the room's own intervals in simulated worlds of the size the table asks for."""

import numpy as np
import pytest

from hfkit.fairness.power import power
from hfkit.shared import stats


def test_by_hand():
    """(1.95996 + 0.84162)^2 (0.4 * 0.6 + 0.5 * 0.5) / 0.1^2 = 384.6."""
    assert power(margin=0.1, rates=(0.5,))["n"].item() == 385


@pytest.mark.parametrize(("rate", "groups", "judged"), [(0.5, 2, 1), (0.8, 8, 48)])
def test_the_room_finds_it_about_as_often_as_said(rate, groups, judged):
    n = int(power(margin=0.15, rates=(rate,), groups=groups, judged=judged)["n"].item())
    rng, m, level = np.random.default_rng(groups), n * (groups - 1), 0.95 ** (1 / judged)
    k, j = rng.binomial(n, rate - 0.15, 4000), rng.binomial(m, rate, 4000)
    high = stats.mover((k / n, *stats.exact(k, n, level)), (j / m, *stats.exact(j, m, level)))[2]
    assert 0.7 <= np.mean(high < 0) <= 0.9


@pytest.mark.parametrize("wrong", [{"margin": 0.0}, {"margin": 0.1, "groups": 1}, {"margin": 0.95}])
def test_undefined_is_said(wrong):
    out = power(**wrong)
    assert out["n"].isna().all()
    assert (out["note"] != "").all()
