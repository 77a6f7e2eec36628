"""Which packages there are: all of mmad, and the configs beside it. The rest is in pyproject.toml."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["mmad", "mmad.*"]), "mmad.configs"])
