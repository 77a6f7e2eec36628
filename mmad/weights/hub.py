"""Repositories of the Hugging Face Hub, kept in its cache and read offline once there.

Whatever is fetched is read as any other file: safetensors, or pickles by `mmad.weights.pickled`,
which run no code.
"""

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

from mmad.errors import CheckpointError
from mmad.files import cannot_write, is_disk_error, sha256_of

# The files of a repository with weights, or of a run, in a format that is read.
_WANTED = (
    *("*.safetensors", "*.safetensors.index.json", "config.json", "README.md"),
    *("config.yaml", "labels.json", "mmad.json", "environment.json", "features.json", "log.jsonl"),
)
_OLDER = ("pytorch_model*.bin", "pytorch_model.bin.index.json", "config.json", "README.md")
_FILES = (".pth", ".pt", ".bin", ".tar", ".safetensors", ".pyth", ".pickle", ".onnx", ".yaml")
_NAME = r"(?P<repository>[\w-][\w.-]*/[\w-][\w.-]*)(@(?P<revision>[\w.-]+))?"
_SHORT = re.compile(_NAME)
# A pathlib.Path has one slash of the two.
_LONG = re.compile(rf"hf://?{_NAME}(/(?P<file>.+))?")


@dataclass(frozen=True)
class HubPlace:
    """A repository on the Hub, or a file in one.

    Attributes:
        repository: Its id, such as MCG-NJU/videomae-base.
        revision: Branch, tag or commit; the main branch if None.
        file: Path of the file in it.
    """

    repository: str
    revision: str | None = None
    file: str | None = None


@dataclass(frozen=True)
class HubSource:
    """What the cache knows of something fetched from the Hub.

    Attributes:
        repository: Id of its repository.
        commit: Commit that it was fetched at.
        licence: Licence that the authors state, such as cc-by-nc-4.0; None if they state none.
    """

    repository: str
    commit: str
    licence: str | None


def hub_place(name: str) -> HubPlace | None:
    """The place on the Hub that ``name`` could be: an id, with a revision, or with a file.

    >>> hub_place("MCG-NJU/videomae-base@main")
    HubPlace(repository='MCG-NJU/videomae-base', revision='main', file=None)
    >>> hub_place("hf://OpenGVLab/VideoMAE2/distill/vit_s.pth").file
    'distill/vit_s.pth'
    >>> hub_place("weights/videomae.pth"), hub_place("a.pth"), hub_place("/runs/dsta")
    (None, None, None)
    """
    found = _LONG.fullmatch(name)
    if found is not None:
        return HubPlace(found["repository"], found["revision"], found["file"])
    found = _SHORT.fullmatch(name)
    if found is None or name.endswith(_FILES):
        return None
    return HubPlace(found["repository"], found["revision"])


def fetch(name: str, *, revision: str | None = None, without: str | None = None) -> Path:
    """Folder with the files of a repository on the Hub, or one file of it, downloaded with a
    progress bar unless cached; after a download its licence is printed.

    Args:
        name: Place on the Hub, as in `hub_place`.
        revision: Branch, tag or commit, instead of that of ``name``.
        without: How to do without it, for the message where the Hub cannot be reached.

    Raises: CheckpointError if it does not exist, may not be read, cannot be reached and is not
        cached, or was damaged on its way; OutputError if the cache cannot be written to.
    """
    place = hub_place(name)
    assert place is not None, name
    if revision is not None:
        place = HubPlace(place.repository, revision, place.file)
    is_new = not _cache_of(place.repository).is_dir()
    with _told(name, place, without=without):
        path = _downloaded(place)
    if path is None:
        raise CheckpointError(
            f"{name}: the repository on the Hub has no weights (no safetensors, no "
            "pytorch_model.bin); name a file in it as hf://ORG/NAME/FILE"
        )
    if is_new:
        _require_whole(name, path)
        _tell_licence(path)
    return path


def _downloaded(place: HubPlace) -> Path | None:
    """The file, or the folder with weights; None if the repository has none."""
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import EntryNotFoundError

    name, revision = place.repository, place.revision
    if place.file is not None:
        path = Path(hf_hub_download(name, place.file, revision=revision))
        with suppress(EntryNotFoundError):  # it states the licence
            hf_hub_download(name, "README.md", revision=revision)
        return path
    for patterns in (_WANTED, _OLDER):
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns)))
        if any(folder.glob(patterns[0])):
            return folder
    return folder if (folder / "config.yaml").is_file() else None


@contextmanager
def _told(name: str, place: HubPlace, *, without: str | None) -> Iterator[None]:
    """Turn what huggingface_hub raises into one message that says what to do."""
    from huggingface_hub import errors

    where = "Two ways out: where" if without else "Where"
    other_way = f"; or, {without}" if without else ""

    page = f"{os.environ.get('HF_ENDPOINT', 'https://huggingface.co')}/{place.repository}"
    log_in = "log in with `hf auth login`, or set HF_TOKEN"
    try:
        yield
    except errors.GatedRepoError:
        raise CheckpointError(
            f"{name}: its authors ask for your consent to their terms; give it on {page}, "
            f"then {log_in}; or pass the path of a file that you have"
        ) from None
    except errors.RepositoryNotFoundError:
        raise CheckpointError(
            f"{name}: there is no such file or folder here, and no such repository on the Hub, or "
            f"it is private: check the spelling, or {log_in}"
        ) from None
    except errors.RevisionNotFoundError:
        raise CheckpointError(
            f"{name}: the repository has no revision '{place.revision}'; see {page}/commits/main"
        ) from None
    except errors.LocalEntryNotFoundError:
        raise CheckpointError(
            f"{name}: is neither here nor in the cache of the Hub, and the Hub cannot be reached. "
            f"{where} there is a connection, run `mmad weights fetch {name} --out FOLDER`, "
            f"copy the folder here, and pass its path instead of {name}{other_way}"
        ) from None
    except errors.EntryNotFoundError:
        raise CheckpointError(
            f"{name}: the repository has no such file; see {page}/tree/main"
        ) from None
    except Exception as error:  # of whatever library makes the connection
        if is_disk_error(error):
            raise cannot_write(Path(getattr(error, "filename", None) or _cache()), error) from None
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise CheckpointError(f"{name}: cannot be fetched ({reason:.160}); try again") from None


# ---- the cache ----


def _cache() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def _cache_of(repository: str) -> Path:
    return _cache() / f"models--{repository.replace('/', '--')}" / "snapshots"


def source_of(path: Path) -> HubSource | None:
    """Where a file or folder of the Hub's cache is from; None for any other."""
    for folder in (path, *path.parents):
        repository = folder.parent.parent.name
        if folder.parent.name == "snapshots" and repository.startswith("models--"):
            name = repository.removeprefix("models--").replace("--", "/", 1)
            return HubSource(name, folder.name, _licence_in(folder / "README.md"))
    return None


def _licence_in(card: Path) -> str | None:
    """The licence in the metadata of a model card."""
    if not card.is_file():
        return None
    text = card.read_text(encoding="utf-8", errors="replace")
    found = re.match(r"---\s*\n(.*?)\n---\s*(\n|$)", text, re.DOTALL)
    try:
        content = yaml.safe_load(found[1]) if found is not None else None
    except yaml.YAMLError:
        return None
    licence = content.get("license") if isinstance(content, dict) else None
    return licence if isinstance(licence, str) else None


def _tell_licence(path: Path) -> None:
    source = source_of(path)
    if source is None or os.environ.get("RANK", "0") != "0":
        return
    stated = f"licence {source.licence}" if source.licence else "its authors state no licence"
    sys.stderr.write(
        f"{source.repository} at {source.commit[:12]}: {stated}; read it on the Hub before you use "
        f"or pass on these weights, or what is trained from them\n"
    )


def _require_whole(name: str, path: Path) -> None:
    """Raise `CheckpointError` if a large file is not what the Hub says that it is.

    The cache calls such a file by its SHA-256.
    """
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    for file in files:
        expected = file.resolve().name
        if re.fullmatch(r"[0-9a-f]{64}", expected) and sha256_of(file) != expected:
            raise CheckpointError(
                f"{name}: {file.name} was damaged on its way (other SHA-256 than the Hub states); "
                f"remove {file.resolve()} and fetch it again"
            )


# ---- uploading ----


def upload(folder: Path, name: str, *, private: bool, tell: Callable[[str], None]) -> str:
    """Upload the files of a folder to a repository, which is made if there is none.

    Args:
        folder: Folder with the files.
        name: Id of the repository.
        private: Make it private, if it is new.
        tell: Called with what is being done.

    Returns: Address of the commit.

    Raises: CheckpointError if there is no token, no right to write, or no connection.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    api = HfApi()
    try:
        tell(f"{name}: uploading")
        api.create_repo(name, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=name, folder_path=folder, commit_message="Push a run of mmad"
        )
    except (HfHubHTTPError, LocalTokenNotFoundError) as error:
        response = getattr(error, "response", None)
        if response is None or response.status_code in (401, 403):
            raise CheckpointError(
                f"{name}: the Hub does not let you write there; log in with `hf auth login` (or "
                "set HF_TOKEN) with a token that may write, or choose an organisation of yours"
            ) from None
        raise _not_uploaded(name, error) from None
    except Exception as error:  # of whatever library makes the connection
        raise _not_uploaded(name, error) from None
    return str(commit.commit_url)


def _not_uploaded(name: str, error: Exception) -> CheckpointError:
    reason = str(error).strip().split("\n")[0] or type(error).__name__
    return CheckpointError(
        f"{name}: cannot be uploaded ({reason:.160}); run the same command again, or with "
        "--dry-run to write the folder and upload it elsewhere"
    )
