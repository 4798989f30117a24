"""`python -m cli` is the command line program `testudo`."""

import sys

from cli.main import main

sys.exit(main())
