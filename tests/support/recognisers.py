"""Runs of recognisers that only hold predictions, made by hand."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import yaml

from mmad.evaluation.clips.details import RecognitionDetails, write_details
from mmad.evaluation.clips.recognition import write_recognitions
from mmad.evaluation.clips.scores import to_recognitions, write_scores
from support.scores import SMALL, one_hot, scores_of

IDS = ("a.mp4", "b.mp4", "c.mp4")


def make_recogniser(folder: Path, *, ids: tuple[str, ...] = IDS, details: bool = True) -> Path:
    """A run of three labels with predictions of clips, every one recognised as label 0."""
    run = folder
    (run / "predictions").mkdir(parents=True)
    truth = folder.parent / "val.txt"
    truth.write_text("".join(f"{name} {n % 3}\n" for n, name in enumerate(IDS)))
    config = {"task": "recognition", "data": {"val": [str(truth)], "val_subset": "val"}}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    (run / "labels.json").write_text(json.dumps(asdict(SMALL)))
    scores = scores_of(one_hot([0] * len(ids), right=0.5), ids=ids)
    predictions = run / "predictions" / "val.csv"
    write_recognitions(predictions, to_recognitions(scores))
    write_scores(predictions.with_suffix(".npz"), scores, labels=SMALL)
    if details:
        features = np.arange(2.0 * len(ids)).reshape(-1, 2)
        found = RecognitionDetails(ids, features, np.zeros((len(ids), 0, 0)))
        write_details(predictions.with_name("val_details.npz"), found)
    return run
