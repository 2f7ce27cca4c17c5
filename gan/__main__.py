"""`python -m gan` is the `gan` command."""

import sys

from gan.common import garbage_collection, signals

if __name__ == "__main__":
    signals.end_silently()  # before the slow imports
    garbage_collection.skip_at_exit()

    from gan.cli import main

    sys.exit(main())
