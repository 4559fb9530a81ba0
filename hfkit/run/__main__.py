"""`python -m hfkit.run <room>`."""

import sys

from hfkit.run import main

sys.exit(main(sys.argv[1:]))
