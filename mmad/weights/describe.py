"""Description of weight files for people."""

from mmad.checkpoint import few
from mmad.models.backbones.families import BACKBONES
from mmad.models.backbones.features import BACKBONE_PREFIX
from mmad.weights.files import WeightFile
from mmad.weights.naming import backbone_names, detector_names
from mmad.wording import count


def describe(file: WeightFile) -> list[str]:
    """Lines on a file: its size, and the networks in it."""
    lines = [
        f"{file.source}: {count(len(file.tensors), 'tensor')}, "
        f"{sum(value.numel() for value in file.tensors.values()):,} numbers, "
        f"from {file.container}; sha256 {file.sha256}"
    ]
    if file.other:
        lines.append(f"  also in the file: {', '.join(file.other)}")
    if file.classes:
        lines.append(f"  objects left out: {few(file.classes)}")
    body = backbone_names(file.tensors)
    if body is not None:
        family = BACKBONES[body.family]
        described = family.describe(body.tensors)
        lines.append(f"  {family.title} in {body.naming} naming: {described}")
    head = detector_names(file.tensors)
    if head is not None:
        classes = head.tensors.get("classification.out.conv.bias")
        number = f", {count(len(classes), 'class')}" if classes is not None else ""
        lines.append(f"  temporal detector in {head.naming} naming{number}")
    own = sum(name.startswith(BACKBONE_PREFIX) for name in file.tensors)
    if body is None and head is None and own:
        rest = len(file.tensors) - own
        lines.append(f"  weights of an mmad run: {own} of its backbone, {rest} of the other parts")
    elif body is None and head is None:
        lines.append("  neither a backbone nor a detector in a known naming")
    return lines
