"""`python -m gan` is the `gan` command."""

import sys

from gan.utils import processes

if __name__ == "__main__":
    processes.end_silently()  # before the slow imports
    processes.skip_at_exit()

    from gan.cli import main

    sys.exit(main())
