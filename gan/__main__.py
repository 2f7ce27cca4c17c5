"""`python -m gan` is the `gan` command."""

import sys

from gan.common import signals

if __name__ == "__main__":
    signals.end_silently()  # before the slow imports

    from gan.cli import main

    sys.exit(main())
