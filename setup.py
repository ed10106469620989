"""Everything about the package stands in pyproject.toml; this file serves tools that ask for one."""

from setuptools import setup

setup()
