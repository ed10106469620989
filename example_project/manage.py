#!/usr/bin/env python
"""Django's command line for the example project; works from any directory."""

import os
import sys
from pathlib import Path

# The directory of this script would shadow nothing good: the project is imported as example_project.*.
sys.path[0] = str(Path(__file__).resolve().parent.parent)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
