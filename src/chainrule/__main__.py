"""``python -m chainrule`` is ``chainrule``."""

import sys

from chainrule.cli.entry import main

if __name__ == "__main__":
    sys.exit(main())
