"""The app in sites of other people: each package is installed as it comes from the registry, and runs on real servers.

Their requirements clash, so each group of tests runs in an environment of its own: ``python -m tests.neighbours`` makes
these and runs the tests in them. Tagged ``neighbours``.
"""
