"""Loading of weights of any naming, with an account of every tensor."""

import fnmatch
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from mmad.checkpoint import few, load_exactly
from mmad.errors import CheckpointError
from mmad.models.backbones.contract import Backbone
from mmad.models.backbones.features import BACKBONE_PREFIX
from mmad.models.backbones.naming import Renamed
from mmad.models.detectors.whole import Detector, EndToEndDetector
from mmad.weights.files import WeightFile, read_weights
from mmad.weights.hub import fetch, hub_place
from mmad.weights.naming import backbone_names, detector_names

SHIPPED_WEIGHTS = Path(__file__).resolve().parents[1] / "assets"

# Tensors of published files that no backbone has; each family has more (`BackboneFamily.optional`).
# "ema_" are the averages that mmcv keeps beside the weights of a model.
_NOT_BACKBONE = ("head.", "classifier.", "cls_head.", "data_preprocessor.", "detector.", "ema_")
# The modules of a whole detector after its backbone.
_TEMPORAL_PARTS = ("projection.", "neck.", "rpn_head.")
# State of a detector that is not a weight: the running number of positives, which starts over.
_NOT_DETECTOR = ("rpn_head.loss_normalizer",)


@dataclass(frozen=True)
class LoadReport:
    """What became of every tensor of a file.

    Attributes:
        source: Path of the file.
        container: Key of the file that the weights were under.
        naming: Project whose names they had.
        sha256: Hash of the bytes of the file.
        matched: Names on both sides.
        renamed: (our name, names in the file).
        reshaped: (our name, what was done).
        ignored: Tensors of the file that are left out on purpose.
        missing: Tensors of the model that the file lacks.
        unexpected: Unknown tensors of the file.
    """

    source: str
    container: str
    naming: str
    sha256: str
    matched: tuple[str, ...]
    renamed: tuple[tuple[str, tuple[str, ...]], ...]
    reshaped: tuple[tuple[str, str], ...]
    ignored: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.source} ({self.naming} naming, from {self.container}): "
            f"{len(self.matched)} tensors matched, {len(self.renamed)} renamed, "
            f"{len(self.reshaped)} reshaped, {len(self.ignored)} ignored on purpose, "
            f"{len(self.missing)} missing, {len(self.unexpected)} unexpected; "
            f"sha256 {self.sha256[:12]}"
        )

    def lines(self) -> list[str]:
        """The whole report, key by key."""
        rows = [str(self)]
        rows += [f"  matched     {name}" for name in self.matched]
        rows += [f"  renamed     {name} <- {' + '.join(old)}" for name, old in self.renamed]
        rows += [f"  reshaped    {name}: {what}" for name, what in self.reshaped]
        rows += [f"  ignored     {name}" for name in self.ignored]
        rows += [f"  missing     {name}" for name in self.missing]
        rows += [f"  unexpected  {name}" for name in self.unexpected]
        return rows


def find_weights(name: str) -> Path:
    """The file or folder itself, the shipped one of that name, or a download from the Hub.

    Raises: CheckpointError, with how to get weights, if there is none.
    """
    for path in (Path(name), SHIPPED_WEIGHTS / name):
        if path.exists():
            return path
    if hub_place(name) is not None:
        return fetch(
            name, without="to train without pre-trained weights, pass backbone.pretrained=null"
        )
    shipped = ", ".join(sorted(file.name for file in SHIPPED_WEIGHTS.glob("*.safetensors")))
    raise CheckpointError(
        f"{name}: there is no such file of weights. Pre-trained weights of backbones are not "
        "shipped: get them from their authors and pass the path of the file or folder, or "
        "pass a Hub id such as MCG-NJU/videomae-base (see docs/weights.md); or train from random "
        "weights with backbone.pretrained=null. "
        f"Shipped: {shipped or 'none'}"
    )


def weight_names(name: str) -> Collection[str]:
    """Our names of the tensors of the backbone in a file of any naming; arguments and errors as
    `load_backbone`.
    """
    found = backbone_names(read_weights(find_weights(name), averaged=True).tensors)
    return () if found is None else found.tensors


def load_backbone(
    backbone: Backbone, name: str, *, allow: Sequence[str] = (), averaged: bool = True
) -> LoadReport:
    """Load a file of any naming into a backbone.

    Args:
        backbone: Backbone that receives the weights.
        name: File, Hugging Face folder, shipped file or Hub id.
        allow: As `fill_backbone`.
        averaged: Take the moving average of the weights if the file holds both.

    Raises: CheckpointError if the file cannot be read, or as `fill_backbone`.
    """
    file = read_weights(find_weights(name), averaged=averaged)
    return fill_backbone(backbone, file, allow=allow)


def fill_backbone(backbone: Backbone, file: WeightFile, *, allow: Sequence[str] = ()) -> LoadReport:
    """Load the tensors of a file into a backbone; adapters that the file lacks keep their weights.

    Args:
        backbone: Backbone that receives the weights.
        file: Weights of any naming.
        allow: Patterns (as for file names) of tensors that may be missing or unexpected.

    Raises: CheckpointError if a tensor is missing, unexpected or of another shape, and not allowed.
    """
    family = backbone.family
    found = backbone_names(file.tensors, {"": family})
    if found is None:
        other = backbone_names(file.tensors)
        what = f"a {other.family}" if other is not None else few(list(file.tensors))
        raise CheckpointError(
            f"{file.source}: holds no {family.title} in a known naming; found {what}"
        )
    own = backbone.state_dict()
    tensors = {key: _for_fitting(value, own.get(key)) for key, value in found.tensors.items()}
    wanted = list(own)
    adapters = {key for key, role in backbone.roles().items() if role.role == "adapter"}
    if not adapters.intersection(tensors):
        wanted = [key for key in wanted if key not in adapters]
    reshaped = backbone.fit_weights(tensors, source=file.source)
    known = (*_NOT_BACKBONE, *_TEMPORAL_PARTS, *family.optional)
    ignored = {key for key in tensors if key not in wanted and key.startswith(known)}
    report = _report(file, found.naming, found.origins, wanted, tensors, reshaped, ignored)
    advice = backbone.advice(report.missing, tensors)
    if advice is not None:
        raise CheckpointError(f"{file.source}: {advice}")
    require_complete(report, allow=allow)
    chosen = {key: tensors[key] for key in wanted if key in tensors}
    load_exactly(backbone, chosen, source=file.source, release=file.release)
    return report


def _for_fitting(value: Tensor, own: Tensor | None) -> Tensor:
    """A tensor of a file, in full precision if it must be computed with to fit ours.

    The others stay views of the file: all of them at once would double the memory of a network.
    """
    return value if own is None or own.shape == value.shape else value.float()


def require_complete(report: LoadReport, *, allow: Sequence[str] = ()) -> None:
    """Raise `CheckpointError` with the names of tensors that are missing or unexpected and not
    allowed.
    """

    def left(names: Sequence[str]) -> list[str]:
        return [n for n in names if not any(fnmatch.fnmatch(n, pattern) for pattern in allow)]

    missing, unexpected = left(report.missing), left(report.unexpected)
    if missing or unexpected:
        raise CheckpointError(
            f"{report.source} ({report.naming} naming): does not fit the model; missing: "
            f"{few(missing)}; unexpected: {few(unexpected)}. Is it the size and kind of model "
            "that the config asks for? What may be missing or unexpected can be allowed by name"
        )


def _report(
    file: WeightFile,
    naming: str,
    origins: Mapping[str, tuple[str, ...]],
    wanted: Sequence[str],
    tensors: Mapping[str, Tensor],
    reshaped: Mapping[str, str],
    ignored: set[str],
) -> LoadReport:
    present = [key for key in wanted if key in tensors]
    same = [key for key in present if origins.get(key, (key,)) == (key,) and key not in reshaped]
    renamed = [key for key in present if key not in same and key not in reshaped]
    return LoadReport(
        file.source,
        file.container,
        naming,
        file.sha256,
        matched=tuple(same),
        renamed=tuple((key, origins[key]) for key in renamed),
        reshaped=tuple((key, what) for key, what in reshaped.items()),
        ignored=tuple(sorted(ignored)),
        missing=tuple(sorted(set(wanted) - set(tensors))),
        unexpected=tuple(sorted(set(tensors) - set(wanted) - ignored)),
    )


def report_of(file: WeightFile, found: Renamed, wanted: Sequence[str]) -> LoadReport:
    """What became of the tensors of a part of a network, none of which is reshaped or ignored."""
    return _report(file, found.naming, found.origins, wanted, found.tensors, {}, set())


def fill_detector(model: Detector, file: WeightFile, *, allow: Sequence[str] = ()) -> LoadReport:
    """Load a checkpoint of OpenTAD or ActionFormer into a detector.

    Args:
        model: Detector that receives the weights; its sizes, adapters and number of classes must
            match the file. A detector on stored features takes the temporal detector alone.
        file: Checkpoint.
        allow: As `fill_backbone`.

    Raises: CheckpointError if the file holds no such detector, or a tensor is missing, unexpected
        or of another shape, and not allowed.
    """
    head = detector_names(file.tensors)
    if head is None:
        raise CheckpointError(f"{file.source}: not a detector: it has no pyramid and head")
    tensors = {f"network.{name}": value.float() for name, value in head.tensors.items()}
    origins = {f"network.{name}": old for name, old in head.origins.items()}
    ignored = {f"network.{name}" for name in _NOT_DETECTOR if f"network.{name}" in tensors}
    wanted = list(model.state_dict())
    moved: dict[str, str] = {}
    if isinstance(model, EndToEndDetector):
        backbone, renamed, reshaped = _backbone_of_detector(model.features.backbone, file)
        tensors |= {BACKBONE_PREFIX + name: value for name, value in backbone.items()}
        origins |= {BACKBONE_PREFIX + name: renamed[name] for name in backbone}
        optional = (*_NOT_BACKBONE, *model.features.backbone.family.optional)
        unused = [name for name in backbone if name.startswith(optional)]
        ignored |= {BACKBONE_PREFIX + name for name in unused} - set(wanted)
        moved = {BACKBONE_PREFIX + name: what for name, what in reshaped.items()}
    report = _report(file, head.naming, origins, wanted, tensors, moved, ignored)
    require_complete(report, allow=allow)
    chosen = {key: tensors[key] for key in wanted if key in tensors}
    load_exactly(model, chosen, source=file.source)
    return report


def _backbone_of_detector(
    backbone: Backbone, file: WeightFile
) -> tuple[dict[str, Tensor], Mapping[str, tuple[str, ...]], dict[str, str]]:
    """Backbone weights of a whole detector, their old names, and what was reshaped."""
    body = backbone_names(file.tensors, {"": backbone.family})
    if body is None:
        raise CheckpointError(
            f"{file.source}: not a whole detector: it has no {backbone.family.title}; a "
            "detector on stored features loads it with a config that sets data.features"
        )
    weights = {
        name: value.float()
        for name, value in body.tensors.items()
        if not name.startswith(_TEMPORAL_PARTS)
    }
    reshaped = dict(backbone.fit_weights(weights, source=file.source))
    return weights, body.origins, reshaped
