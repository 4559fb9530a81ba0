"""Two hundred kills of a run, forty of them aimed at the writing of dvc.lock: one command mends them all.

HFKIT_CAMPAIGN=1 python -m pytest tests/campaigns/test_campaign_kills.py -o testpaths= -q -s
"""

import pytest
from test_doctor import kills


@pytest.mark.timeout(7200)
def test_every_killed_run_is_mended_by_one_command(loop):
    broken = kills(loop, unaimed=160, aimed=40)
    print(f"\n| 200 kills | {broken} left something to mend | all were mended |")
