"""The entry points ``django_status`` and ``python -m status``."""

from __future__ import annotations

import os
import sys

from status.cli.command import answer_and_exit


def main() -> None:
    """Answer the command line and end the process with 0, 1 or 2, as the help says."""
    name = os.path.basename(sys.argv[0])
    answer_and_exit(sys.argv[1:], "python -m status" if name == "__main__.py" else name, in_django=False)


if __name__ == "__main__":
    main()
