"""Details of recognition beyond scores: features of clips, and probabilities over time."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmad.errors import PredictionError
from mmad.evaluation.clips.scores import load_arrays
from mmad.files import write_bytes

ARRAYS = ("clip_ids", "features", "curves")


@dataclass(frozen=True, eq=False)
class RecognitionDetails:
    """Features and curves of clips.

    Attributes:
        clip_ids: Ids of N clips.
        features: Features (N, D), pooled over the clip.
        curves: Probability of each action at each step of the middle view, (N, T, K); (N, 0, 0) for
            a recogniser without a frame head.
    """

    clip_ids: tuple[str, ...]
    features: NDArray[np.floating]
    curves: NDArray[np.floating]

    def __post_init__(self) -> None:
        shapes = self.features.shape, self.curves.shape
        if not len(self.clip_ids) == shapes[0][0] == shapes[1][0] or [len(s) for s in shapes] != [
            2,
            3,
        ]:
            raise ValueError(
                f"expected (N, D) and (N, T, K) of {len(self.clip_ids)}, found {shapes}"
            )


def details_path(predictions: Path) -> Path:
    """Path of the details of a file of predictions.

    >>> details_path(Path("predictions/val.csv")).name
    'val_details.npz'
    """
    return predictions.with_name(f"{predictions.stem}_details.npz")


def write_details(path: Path, details: RecognitionDetails) -> None:
    """Write an .npz, atomically, in half precision."""
    out = io.BytesIO()
    np.savez_compressed(
        out,
        clip_ids=np.array(details.clip_ids),
        features=details.features.astype(np.float16),
        curves=details.curves.astype(np.float16),
    )
    write_bytes(path, out.getvalue())


def read_details(path: Path) -> RecognitionDetails:
    """The details that `write_details` wrote; no code in the file is run.

    Raises: PredictionError if it is missing, damaged or of another kind.
    """
    expected = "what mmad predict --details writes"
    arrays = load_arrays(path, ARRAYS, expected=expected)
    missing = [name for name in ARRAYS if name not in arrays]
    if missing:
        raise PredictionError(f"{path}: expected {expected}; missing {', '.join(missing)}")
    try:
        ids = tuple(arrays["clip_ids"].tolist())
        return RecognitionDetails(ids, arrays["features"], arrays["curves"])
    except (ValueError, IndexError, TypeError) as error:  # arrays of other shapes
        raise PredictionError(f"{path}: expected {expected} ({error})") from None


def flatten(features_ND: NDArray[np.float64], *, seed: int) -> tuple[NDArray[np.float64], str]:
    """Points in a plane (N, 2), and a sentence on the method.

    By t-SNE, or two principal components where scikit-learn is not installed or clips are few.
    """
    centred = features_ND - features_ND.mean(axis=0)
    scaled = centred / np.maximum(centred.std(axis=0), 1e-12)
    if len(scaled) > 10:
        try:
            from sklearn.manifold import TSNE

            perplexity = min(30.0, (len(scaled) - 1) / 3)
            model = TSNE(perplexity=perplexity, init="pca", random_state=seed)
            how = f"t-SNE of the pooled features, perplexity {perplexity:.3g}, seed {seed}."
            return model.fit_transform(scaled).astype(np.float64), how
        except ImportError:
            pass
    _, _, axes = np.linalg.svd(scaled, full_matrices=False)
    plane = scaled @ axes[:2].T
    plane = np.pad(plane, ((0, 0), (0, 2 - plane.shape[1])))
    how = "Two principal components of the pooled features (for t-SNE: pip install scikit-learn)."
    return plane, how
