"""The speed of the app beside its peers, as ratios: ``python -m tests.benchmarks``."""
