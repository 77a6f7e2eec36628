"""Texts of figures."""

import warnings
from pathlib import Path

from matplotlib.figure import Figure

from mmad.report.axes import text_inches
from mmad.report.figures import save_figure


def test_letters_of_any_script_are_drawn_without_warnings(tmp_path: Path) -> None:
    figure = Figure()
    figure.add_subplot().set_title("\u65e5\u672c")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert text_inches("\u65e5\u672c", points=6) > 0
        save_figure(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").is_file()
