"""The campaign is long: the default `pytest` leaves it out, `make campaign` runs it."""

import os

collect_ignore_glob = [] if os.environ.get("HFKIT_CAMPAIGN") == "1" else ["test_*.py"]
