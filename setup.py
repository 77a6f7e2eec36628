"""The packages: all of mmad, and the configs beside it. Everything else is in pyproject.toml."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["mmad", "mmad.*"]), "mmad.configs"])
