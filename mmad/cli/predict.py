"""``mmad predict``: detections of a subset, with or without labels."""

from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from mmad.config.run import load_config
from mmad.data.samples import raise_failures
from mmad.engine.detection import read_data, records_of
from mmad.engine.distributed import start_processes
from mmad.engine.inference import detect_videos
from mmad.engine.loop import choose_precision
from mmad.engine.run_folder import RunFolder, labels_of, load_run
from mmad.errors import CheckpointError
from mmad.evaluation.predictions import write_predictions_csv, write_predictions_json

app = typer.Typer()


@app.command()
def predict(
    checkpoint: Annotated[Path, typer.Argument(help="Run folder of a trained model.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[key.sub=value]...", help="Such as data.annotations=FILE."),
    ] = None,
    subset: Annotated[str, typer.Option(help="Subset of the annotations.")] = "test",
    out: Annotated[
        Path | None, typer.Option(help="CSV to write; default RUN/predictions/SUBSET.csv.")
    ] = None,
) -> None:
    """Write the detections of every video of a subset."""
    folder = RunFolder(checkpoint)
    labels = labels_of(folder)
    wanted = load_config(folder.config, overrides=overrides or [])
    annotations, present = read_data(wanted)
    if present != labels:
        raise CheckpointError(
            f"{wanted.data.annotations}: has other classes ({len(present)}) than {checkpoint} was "
            f"trained on ({len(labels)})"
        )
    records = records_of(wanted, annotations, [subset])
    model, _, _ = load_run(checkpoint)
    device = start_processes().device
    with tqdm(total=len(records), desc="predict", unit="video", disable=None) as bar:
        detections, failures = detect_videos(
            model.to(device),
            records,
            wanted,
            device=device,
            precision=choose_precision(wanted.training.precision, device),
            progress=lambda batch: bar.update(len(batch)),
        )
    path = out or folder.predictions(subset, ".csv")
    write_predictions_csv(path, detections)
    write_predictions_json(path.with_suffix(".json"), detections, labels)
    typer.echo(
        f"{path}: {sum(map(len, detections.values()))} detections of {len(detections)} videos"
    )
    raise_failures(failures)
