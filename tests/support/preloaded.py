"""What the fork server of `support.processes` imports once."""

import importlib
import pkgutil

import torch

import mmad.cli

torch.set_num_threads(1)
for _found in pkgutil.walk_packages(mmad.cli.__path__, "mmad.cli."):
    importlib.import_module(_found.name)
