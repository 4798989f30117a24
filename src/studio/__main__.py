"""`python -m studio` is the command line program `testudo`."""

import sys

from studio.cli import main

sys.exit(main())
