"""``python -m trivec.cli``: the command, where it is not on the path."""

import sys

from trivec.cli import main

if __name__ == "__main__":
    sys.exit(main())
