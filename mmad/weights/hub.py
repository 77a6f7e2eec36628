"""Weights from the Hugging Face Hub, kept in its cache and read offline once there."""

import re
from pathlib import Path

from mmad.errors import CheckpointError

# The files of a repository with weights in a format that is read, and their settings.
_WANTED = ("*.safetensors", "*.safetensors.index.json", "config.json")
_OLDER = ("pytorch_model*.bin", "pytorch_model.bin.index.json", "config.json")


def is_hub_id(name: str) -> bool:
    """Whether ``name`` could be an id on the Hub, such as MCG-NJU/videomae-base.

    >>> is_hub_id("MCG-NJU/videomae-base"), is_hub_id("weights/videomae.pth"), is_hub_id("a.pth")
    (True, False, False)
    """
    fits = re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name) is not None
    return fits and not name.endswith((".pth", ".pt", ".bin", ".tar", ".safetensors"))


def fetch(name: str, *, revision: str | None = None) -> Path:
    """Folder with the weights of a Hub id, downloaded with a progress bar unless cached.

    Args:
        name: Hub id, such as MCG-NJU/videomae-base.
        revision: Branch, tag or commit; the main branch if None.

    Raises: CheckpointError if it does not exist, or cannot be reached and is not cached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    for patterns in (_WANTED, _OLDER):
        try:
            folder = Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns)))
        except LocalEntryNotFoundError:
            raise CheckpointError(
                f"{name}: not in the Hub's cache, and the Hub cannot be reached; fetch it "
                f"where there is a connection: mmad weights fetch {name}"
            ) from None
        except (HfHubHTTPError, ValueError, OSError) as error:
            reason = str(error).strip().split("\n")[0]
            raise CheckpointError(f"{name}: cannot be fetched ({reason:.160})") from None
        if any(folder.glob(patterns[0])):
            return folder
    raise CheckpointError(
        f"{name}: the repository on the Hub has no weights (no safetensors, no .bin)"
    )
