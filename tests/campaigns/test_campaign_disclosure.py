"""The whole attack on the published tables: every withheld count, each room alone and both together.

HFKIT_CAMPAIGN=1 python -m pytest tests/campaigns/test_campaign_disclosure.py -o testpaths= -q -s
"""

import pytest
from test_disclosure import RULE, made, one_component, rows, together  # noqa: F401

from hfkit.fairness import publish

COMPONENTS = ("policy", "ranking", "safety")


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("view", [0, 1])
def test_no_withheld_count_of_fairness_is_recovered(rows, component, view):  # noqa: F811
    told = publish.attacked(one_component(rows[view], component), **RULE).iloc[0]
    print(f"\n| fairness, {told['perspective']} | {component} | {told['withheld']} | {told['recovered']} "
          f"| {told['least width']:.0f} | {told['median width']:.0f} |", end="")  # fmt: skip
    assert told["recovered"] == 0


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("attribute", ["rater.age_band", "rater.region"])
def test_both_rooms_together_recover_nothing(made, rows, component, attribute):  # noqa: F811
    told = together(made, one_component(rows[1], component), attribute, every=1)
    print(f"\n| both rooms, {attribute} | {component} | {len(told)} | {told['recovered'].sum()} "
          f"| {told['width'].min():.0f} | {told['width'].median():.0f} |", end="")  # fmt: skip
    assert told["recovered"].sum() == 0
