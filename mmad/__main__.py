"""``python -m mmad`` is ``mmad``."""

from mmad.cli.main import run

run()
