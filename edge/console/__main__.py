"""`python -m edge.console`: what `shouwang-edge console` becomes, so that nothing of the agent's is loaded with it."""

import sys

from edge.console.command import main

sys.exit(main())
