"""Entry point of ``python -m mmad``, the same as ``mmad``."""

from mmad.cli.main import run

run()
