"""Write the backbone of a run, without adapters and detector, as a small safetensors file.

python tools/export_backbone.py RUN OUT.safetensors
"""

import sys
from pathlib import Path

from mmad.checkpoint import save_tensors
from mmad.engine.run_folder import load_run
from mmad.labels import MA52


def main(run: str, out: str) -> None:
    model, _ = load_run(run, labels=MA52)
    state = model.features.backbone.state_dict()
    small = {name: value.half() for name, value in state.items() if ".adapter." not in name}
    save_tensors(out, small, metadata={"made_by": "tools/export_backbone.py", "dtype": "float16"})
    print(f"{out}: {len(small)} tensors, {Path(out).stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(*sys.argv[1:])
