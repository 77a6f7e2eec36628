"""``mmad elan recogniser``: what ELAN starts."""

import sys

import typer

from mmad.annotations.elan.recogniser.parent import end_with_parent
from mmad.annotations.elan.recogniser.protocol import Report, read_request, tier_file
from mmad.errors import MmadError, VideoError
from mmad.files import write_text


def recogniser() -> None:
    """Be the recogniser: what ELAN starts."""
    report = Report(lambda line: print(line, flush=True))
    end_with_parent()
    try:
        _recognise(report)
    except MmadError as error:
        report.failed(str(error))
        raise typer.Exit(2) from None
    except Exception as error:  # ELAN waits until it is told
        report.failed(f"{type(error).__name__}: {error}")
        raise typer.Exit(1) from None
    report.done()


def _recognise(report: Report) -> None:
    request = read_request(sys.stdin.buffer.read())
    if request.model is None:
        raise MmadError("parameter 'model' is empty; name a run folder or a hub id")
    report.progress(0.01, "reading the model")
    from mmad.engine.trained.opening import open_trained, require_detector
    from mmad.video.find import video_id_of
    from mmad.video.records import records_of_files

    detector = require_detector(open_trained(request.model, device=request.device or "auto"))
    records, problems = records_of_files({video_id_of(request.video): request.video})
    if problems:
        raise VideoError(problems[0])
    found = detector.detect(
        records, progress=lambda done: report.progress(0.05 + 0.9 * done, "detecting")
    )
    for notice in found.notices():
        report.info(notice)
    if found.failures:
        raise VideoError(found.failures[0].message)
    detections = found.detections[records[0].video_id]
    least = request.min_score or 0.0
    chosen = detections[detections.scores >= least]
    report.info(f"{len(chosen)} of {len(detections)} detections have a score of {least:g} or more")
    text = tier_file(chosen, labels=detector.labels, with_scores=request.with_scores)
    write_text(request.tiers, text)
