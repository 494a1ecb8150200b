"""`python -m chatstream.engines.demo`."""

import sys

from chatstream.engines.demo.server import main

sys.exit(main(sys.argv[1:]))
