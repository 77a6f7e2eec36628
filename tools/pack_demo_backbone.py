"""Write the encoder of a pre-training as the small file of weights that ships with mmad.

    mmad pretrain configs/demo_backbone_without_labels.yaml --out pretrain/run
    python tools/pack_demo_backbone.py pretrain/run \
        mmad/assets/demo_backbone_without_labels.safetensors

The decoder is left out, and numbers have half precision. Every run takes the file by its name:
`backbone.pretrained=demo_backbone_without_labels.safetensors backbone.final_norm=true`.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from mmad.checkpoint import load_tensors, save_tensors
from mmad.engine.runs.folder import RunFolder
from mmad.models.backbones.features import BACKBONE_PREFIX


def pack(tensors: Mapping[str, Tensor], out: Path, *, made_by: str) -> None:
    """Write the backbone's share of the weights of a network, in half precision."""
    encoder = {
        name.removeprefix(BACKBONE_PREFIX): value.half()
        for name, value in tensors.items()
        if name.startswith(BACKBONE_PREFIX)
    }
    save_tensors(out, encoder, metadata={"made_by": made_by})
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB")


def main() -> None:
    """Read the best weights of a run, and pack them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    tensors, _ = load_tensors(RunFolder(arguments.run).best)
    pack(tensors, arguments.out, made_by="mmad pretrain, without labels")


if __name__ == "__main__":
    main()
