"""Runs on the Hugging Face Hub: what is pushed of a run folder, and runs by hub id."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter

from mmad import __version__
from mmad.checkpoint import save_tensors
from mmad.config.base import Count, validated
from mmad.config.paths import without_folders
from mmad.config.reading import load_any_config
from mmad.engine.runs.folder import FROZEN_HASH, RunFolder, read_state, version_numbers
from mmad.engine.runs.load import labels_of, run_weights
from mmad.errors import CheckpointError, ConfigError
from mmad.files import replaced, sha256_of, write_json, write_text
from mmad.parsing import json_value, read_text
from mmad.weights.hub import fetch, hub_place

MANIFEST = "mmad.json"
FORMAT = 1
_PICKLES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt")
# Rows of the log that make sense elsewhere.
_LOGGED = ("data", "step", "validation")


class _Manifest(BaseModel):
    """What a pushed run says of itself."""

    model_config = ConfigDict(extra="allow", frozen=True)

    format: Count
    mmad: str
    task: str = ""
    sha256: dict[str, str] = {}


_MANIFEST = TypeAdapter(_Manifest)


def local_run(run: str | Path) -> Path:
    """The run folder ``run`` itself, or that of a hub id such as ``org/name@revision``, fetched
    into the cache of the Hub.

    ``runs/NAME``, and a name whose first part is a folder here, is a path and never looked for on
    the Hub; ``hf://org/name`` always is.

    Raises: CheckpointError if the Hub has no such run, it is damaged, of a newer version, or its
        weights are pickles; as `fetch`.
    """
    path = Path(run)
    name = path.as_posix()
    parent = path.parent
    is_here = path.exists() or parent == Path("runs") or (parent != Path() and parent.exists())
    if is_here or hub_place(name) is None:
        return path
    folder = fetch(name)
    require_run(folder, name=name)
    return folder


def require_run(folder: Path, *, name: str) -> None:
    """Raise `CheckpointError` unless ``folder``, fetched as ``name``, is a run of this version or
    an older one, complete, undamaged and without pickled weights.
    """
    run = RunFolder(folder)
    if not run.config.is_file():
        raise CheckpointError(
            f"{name}: is no run of mmad (no config.yaml in it), but weights; name it in "
            "backbone.pretrained of a config to train from them"
        )
    manifest = _read_manifest(folder, name=name)
    version = __version__ if manifest is None else manifest.mmad
    update = f"{name}: was pushed by mmad {version}, this is {__version__}; pip install -U mmad"
    if manifest is not None and manifest.format > FORMAT:
        raise CheckpointError(update)
    missing = [path.name for path in (run.frozen, run.best, run.labels) if not path.is_file()]
    if missing:
        pickles = _pickles_of(name)
        if pickles:
            raise CheckpointError(
                f"{name}: its weights are in {pickles[0]}, a pickle, which can run code; runs on "
                "the Hub are read from safetensors alone. Ask its owner to push it with `mmad "
                "push`"
            )
        raise CheckpointError(f"{name}: lacks {missing[0]}; its owner can push it again")
    try:
        load_any_config(run.config)
    except ConfigError as error:
        if version_numbers(version) > version_numbers(__version__):
            raise CheckpointError(update) from None
        raise CheckpointError(f"{name}: {error}") from None
    for file, expected in {} if manifest is None else manifest.sha256.items():
        # The frozen weights are hashed whenever they are read.
        if file == run.frozen.name or not (folder / Path(file).name).is_file():
            continue
        if sha256_of(folder / Path(file).name) != expected:
            raise CheckpointError(
                f"{name}: {file} is not what was pushed (other SHA-256 than in {MANIFEST}); "
                f"remove {folder} and fetch it again, or ask its owner to push it again"
            )


def _read_manifest(folder: Path, *, name: str) -> _Manifest | None:
    path = folder / MANIFEST
    if not path.is_file():
        return None
    source = f"{name}: {MANIFEST}"
    content = json_value(source, read_text(path, error=CheckpointError), error=CheckpointError)
    return validated(_MANIFEST, content, source=source, error=CheckpointError)


def _pickles_of(name: str) -> list[str]:
    """The pickles in a repository; none if the Hub cannot be asked."""
    from huggingface_hub import HfApi

    place = hub_place(name)
    assert place is not None
    try:
        files = HfApi().list_repo_files(place.repository, revision=place.revision)
    except Exception:  # of whatever library makes the connection
        return []
    return sorted(file for file in files if file.endswith(_PICKLES))


def write_run_for_hub(run: RunFolder, out: Path, *, card: str) -> None:
    """Write what others need of a run: weights as safetensors, settings, labels, log, model card.

    Nothing that is pickled, and no folder of this machine: paths lose what leads out of the
    working folder.

    Args:
        run: Run folder.
        out: New folder.
        card: Model card.

    Raises: CheckpointError if the run has no checkpoint, or its files do not belong together.
    """
    config, labels = load_any_config(run.config), labels_of(run)
    run_weights(run)
    settings = without_folders(config.model_dump(mode="json"))
    text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
    write_text(out / run.config.name, text)
    write_json(out / run.labels.name, asdict(labels))
    if run.best.is_file():
        _copy(run.best, out)
    else:
        state = read_state(run)
        metadata = {FROZEN_HASH: state.frozen_sha256, "step": str(state.step)}
        save_tensors(out / run.best.name, state.average, metadata=metadata)
    _copy(run.frozen, out)
    manifest = run.manifest()
    if manifest is not None:
        source = manifest.weights_source
        if source is not None and hub_place(source) is None:
            manifest = manifest.model_copy(update={"weights_source": Path(source).name})
        write_text(out / run.features.name, manifest.to_json())
    environment = run.path / "environment.json"
    for file in (environment, run.thresholds):
        if file.is_file():
            _copy(file, out)
    rows = [row for row in run.rows() if row.get("kind") in _LOGGED]
    write_text(out / run.log.name, "".join(json.dumps(row) + "\n" for row in rows))
    files = sorted(path for path in out.iterdir() if path.is_file())
    content: dict[str, Any] = {
        "format": FORMAT,
        "mmad": __version__,
        "task": config.task,
        "sha256": {path.name: sha256_of(path) for path in files},
    }
    write_json(out / MANIFEST, content)
    write_text(out / "README.md", card)


def _copy(file: Path, folder: Path) -> None:
    with replaced(folder / file.name) as partial:
        shutil.copyfile(file, partial)
