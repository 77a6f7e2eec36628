"""Results of a trained model in the types of the Python interface."""

from mmad.api.calls import warn
from mmad.api.results import Recognition, RecognizedEmotion
from mmad.engine.clip_inference import RecognizedClips
from mmad.engine.emotion_inference import RecognizedEmotions
from mmad.labels import LabelMap


def recognitions_of(result: RecognizedClips, labels: LabelMap) -> list[Recognition]:
    """The recognition of each clip; issues the notices."""
    warn(result.notices)
    scores = result.scores
    return [
        Recognition(name, scores.action_scores[row], scores.body_scores[row], labels)
        for row, name in enumerate(scores.clip_ids)
    ]


def emotions_of(result: RecognizedEmotions, labels: LabelMap) -> list[RecognizedEmotion]:
    """The emotion of each video; issues the notices."""
    warn(result.notices)
    found = result.predictions
    return [
        RecognizedEmotion(
            name, found.emotion_scores[row], found.action_scores[row], found.action_labels, labels
        )
        for row, name in enumerate(found.video_ids)
    ]
