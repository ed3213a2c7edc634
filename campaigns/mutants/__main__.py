"""`script/campaign mutants`: every wrong variant must be caught; exit 1 if one is not."""

from __future__ import annotations

import sys

from campaigns.mutants.command import main

sys.exit(main(sys.argv[1:]))
