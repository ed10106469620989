"""A module that needs what is not installed."""

import frobnicate  # type: ignore[import-not-found]

check = frobnicate.check
