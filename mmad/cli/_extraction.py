"""Values of the options of ``mmad extract-features``."""

from mmad.errors import ConfigError

# Value of ``--norm`` -> ``backbone.final_norm``.
FINAL_NORMS = {"none": "false", "tokens": "true", "pooled": "pooled"}


def extraction_rate(text: str | None) -> float | None:
    """The rate that videos are resampled to; None for each video's own, or that of the backbone.

    Raises: ConfigError if it is not a rate.

    >>> extraction_rate("25"), extraction_rate("own")
    (25.0, None)
    """
    if text is None or text == "own":
        return None
    try:
        fps = float(text)
    except ValueError:
        fps = 0.0
    if not 0 < fps <= 1000:
        raise ConfigError(f"--fps {text}: expected frames per second up to 1000, or own")
    return fps
