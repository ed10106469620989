"""``django_status``, and ``python -m status``."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Answer the command line and end the process: 0, 1 or 2 as the help says."""
    # Late: ending this while it is imported is quiet, too.
    from status.cli.process import end_quietly

    end_quietly()
    # Late: only now.
    from status.cli.command import main as run

    name = os.path.basename(sys.argv[0])
    run(sys.argv[1:], "python -m status" if name == "__main__.py" else name, in_django=False)


if __name__ == "__main__":
    main()
