"""What figures show, and whether they are whole."""

from matplotlib.figure import Figure


def texts_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(lambda part: hasattr(part, "get_text"))]


def is_whole(figure: Figure) -> bool:
    """Whether all text is inside of the figure."""
    figure.draw_without_rendering()
    low, high = figure.bbox.min - 1, figure.bbox.max + 1
    for text in figure.findobj(lambda part: hasattr(part, "get_text")):
        if text.get_text() and text.get_visible():
            box = text.get_window_extent()
            if (box.min < low).any() or (box.max > high).any():
                return False
    return True
