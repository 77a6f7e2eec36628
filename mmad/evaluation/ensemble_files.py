"""The files of an ensemble: their task, and the clips that weights are searched on."""

from collections.abc import Sequence
from pathlib import Path

from mmad.annotations.clips.lists import read_clip_list
from mmad.errors import PredictionError
from mmad.evaluation.clips.recognition import ACTION_COLUMNS
from mmad.evaluation.predictions import read_text_file
from mmad.labels import LabelMap
from mmad.parsing import header_names


def hold_scores(files: Sequence[Path]) -> bool:
    """Whether all files hold scores of clips; problems of other files are left to their reader.

    Raises: PredictionError if a file cannot be read or has ranked predictions without scores, if
        some hold scores and some detections, or a file occurs twice.
    """
    repeated = sorted({str(path) for path in files if files.count(path) > 1})
    if repeated:
        raise PredictionError(
            f"{', '.join(repeated)}: passed twice; to give it more weight, pass --weights"
        )
    found = [_holds_scores(path) for path in files]
    if any(found) and not all(found):
        scores, others = files[found.index(True)], files[found.index(False)]
        raise PredictionError(
            f"expected files of one task, found scores of clips in {scores} and detections in "
            f"{others}"
        )
    return all(found)


def _holds_scores(path: Path) -> bool:
    if path.suffix.lower() == ".npz":
        return True
    text = read_text_file(path)
    if text.lstrip()[:1] in ("{", "["):
        return False
    header = header_names(text)
    if ACTION_COLUMNS[0] in header:
        raise PredictionError(
            f"{path}: has a recogniser's ranked predictions, not their scores; expected the .npz "
            "of its scores, or a CSV with the columns vid, action_0, ..., body_0, ..."
        )
    return "action_0" in header


def labelled_clips(lists: Sequence[Path], *, labels: LabelMap) -> dict[str, int]:
    """The label of each clip of the lists.

    Raises: PredictionError if a clip has no label or occurs twice; AnnotationError if a list cannot
        be read.
    """
    clips = [clip for path in lists for clip in read_clip_list(path, labels=labels)]
    labelled = {clip.clip_id: clip.label for clip in clips if clip.label is not None}
    if len(labelled) < len(clips):
        found = f"{len(clips) - len(labelled)} of {len(clips)} clips without a label, or twice"
        raise PredictionError(f"{', '.join(map(str, lists))}: {found}; see --annotations")
    return labelled
