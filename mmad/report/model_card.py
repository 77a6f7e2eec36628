"""The model card of a run: README.md of its repository on the Hugging Face Hub.

What the card says is what was measured or recorded; what is not known, it says that it is not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from mmad import __version__
from mmad.labels import LabelMap
from mmad.report.tables import interval_text, percent
from mmad.wording import count

# Classes with fewer annotations say little about a model.
_FEWEST = 5
_SHOWN = 5
_ARXIV = {
    "videomae": ("VideoMAE", "2203.12602"),
    "actionformer": ("ActionFormer", "2202.07925"),
    "timesformer": ("TimeSformer", "2102.05095"),
    "video_swin": ("Video Swin Transformer", "2106.13230"),
    "internvideo2": ("InternVideo2", "2403.15377"),
    "uniformer": ("UniFormer", "2201.04676"),
    "slowfast": ("SlowFast", "1812.03982"),
    "vjepa2": ("V-JEPA 2", "2506.09985"),
    "umt": ("Unmasked Teacher", "2303.16058"),
    "c3d": ("C3D", "1412.0767"),
    "tadtr": ("TadTR", "2106.10271"),
}


@dataclass(frozen=True)
class Figure:
    """A measured figure. Fractions.

    Attributes:
        name: What it is, such as "average mAP, action".
        metric: Its name in metadata, such as "mAP".
        value: The figure.
        limits: 95 % interval over resampled videos or clips; None if there is none.
    """

    name: str
    metric: str
    value: float
    limits: tuple[float, float] | None = None


@dataclass(frozen=True)
class ClassFigure:
    """The figure of one class, a fraction, and the number of annotations behind it."""

    name: str
    num_annotations: int
    value: float


@dataclass(frozen=True)
class Evaluation:
    """How good a run is.

    Attributes:
        subset: Subset that it was measured on.
        protocol: How it was done, as text.
        items: What was scored, such as "80 videos".
        figures: The figures, the most important first.
        per_class: What the figures of classes are, such as "AP".
        classes: Those of each class with annotations.
    """

    subset: str
    protocol: str
    items: str
    figures: tuple[Figure, ...]
    per_class: str
    classes: tuple[ClassFigure, ...]


@dataclass(frozen=True)
class CardFacts:
    """What a model card tells.

    Attributes:
        repository: Id on the Hub.
        task: "detection", "recognition" or "emotion".
        labels: Labels of the run.
        network: The parts of the network, by kind: backbone, adapter, detector, ...
        settings: Settings of the training worth knowing, by name.
        data: Columns of the table of data, each a subset: heading to its cells by row.
        unseen: What the model never saw, a sentence each.
        evaluation: How good it is; None if it was not measured.
        licence: Licence of the weights, an identifier of the Hub; None if its owner states none.
        data_licence: Sentence on the licence of the data.
        base: Hub id, or file name, of the weights that it started from; None: random ones.
        base_is_on_hub: Whether ``base`` is a Hub id.
        base_licence: Licence of those as their authors state it; None if not known.
        backbone: Place of the backbone, for a run on stored features; None for others.
    """

    repository: str
    task: str
    labels: LabelMap
    network: Mapping[str, str]
    settings: Mapping[str, Any]
    data: Mapping[str, Mapping[str, str]]
    unseen: Sequence[str]
    evaluation: Evaluation | None
    licence: str | None
    data_licence: str
    base: str | None = None
    base_is_on_hub: bool = False
    base_licence: str | None = None
    backbone: str | None = None
    dataset: str = "annotated videos"
    families: Sequence[str] = field(default=())


def model_card(facts: CardFacts) -> str:
    """The card: metadata of the Hub in YAML, then Markdown."""
    metadata = yaml.safe_dump(_metadata(facts), sort_keys=False, allow_unicode=True)
    sections = [
        _summary(facts),
        _use(facts),
        _figures(facts),
        _classes(facts),
        _unseen(facts),
        _training(facts),
        _licences(facts),
        _citation(facts),
    ]
    return f"---\n{metadata}---\n\n" + "\n\n".join(part for part in sections if part) + "\n"


def _metadata(facts: CardFacts) -> dict[str, Any]:
    kind = {"detection": "temporal-action-detection", "recognition": "action-recognition"}
    content: dict[str, Any] = {
        "license": facts.licence or "unknown",
        "library_name": "mmad",
        "pipeline_tag": "video-classification",
        "tags": ["mmad", "micro-action", kind.get(facts.task, "emotion-recognition"), "video"],
    }
    if facts.base_is_on_hub:
        content["base_model"] = facts.base
    found = facts.evaluation
    if found is not None:
        content["metrics"] = sorted({figure.metric for figure in found.figures})
        metrics = [
            {"type": figure.metric, "name": figure.name, "value": round(100 * figure.value, 2)}
            for figure in found.figures
        ]
        result = {
            "task": {"type": "video-classification", "name": _TITLES[facts.task]},
            "dataset": {"type": "custom", "name": facts.dataset, "split": found.subset},
            "metrics": metrics,
        }
        content["model-index"] = [{"name": facts.repository, "results": [result]}]
    return content


_TITLES = {
    "detection": "Micro-action detection",
    "recognition": "Micro-action recognition",
    "emotion": "Emotion recognition",
}
_DOES = {
    "detection": "finds micro-actions in videos: start, end, class and score of each",
    "recognition": "names the micro-action of a short clip",
    "emotion": "names the emotion of a video, and the micro-actions in it",
}


def _summary(facts: CardFacts) -> str:
    labels = count(len(facts.labels), "class")
    if facts.labels.has_parents:
        labels += f" of {count(len(facts.labels.parent_names), 'body part')}"
    return (
        f"# {facts.repository}\n\n"
        f"This model {_DOES[facts.task]}. It knows {labels}. It was trained with mmad "
        f"{__version__}; this card was written from the files of its run."
    )


def _use(facts: CardFacts) -> str:
    commands = {
        "detection": ("detect VIDEO", 'model.detect("VIDEO")'),
        "recognition": ("recognize CLIP", 'model.recognize("CLIP")'),
        "emotion": ("recognize VIDEO", 'model.recognize("VIDEO")'),
    }
    command, call = commands[facts.task]
    extra = ""
    if facts.backbone is not None:
        command += " --backbone BACKBONE"
        extra = (
            "\n\nIt was trained on stored features, and holds the temporal detector alone: "
            f"BACKBONE is the place of the network that made them ({facts.backbone})."
        )
    return (
        "## Use\n\n"
        f"```console\n$ pip install mmad\n$ mmad {command} --checkpoint {facts.repository}\n```\n\n"
        f'```python\nimport mmad\n\nmodel = mmad.load("{facts.repository}")\n'
        f"found = {call}\n```{extra}"
    )


def _figures(facts: CardFacts) -> str:
    found = facts.evaluation
    if found is None:
        return (
            "## Figures\n\nNot measured: the run had no predictions, or its annotations were not "
            "at hand when this card was written."
        )
    rows = [
        f"| {figure.name} | {percent(figure.value)} | {_limits(figure)} |"
        for figure in found.figures
    ]
    return (
        f"## Figures\n\nOn {found.items} of subset `{found.subset}`; {found.protocol}.\n\n"
        "| figure (%) | value | 95 % interval |\n|---|---|---|\n" + "\n".join(rows)
    )


def _limits(figure: Figure) -> str:
    return "not computed" if figure.limits is None else interval_text(figure.limits)


def _classes(facts: CardFacts) -> str:
    found = facts.evaluation
    if found is None or not found.classes:
        return ""
    judged = [one for one in found.classes if one.num_annotations >= _FEWEST]
    judged.sort(key=lambda one: -one.value)
    shown = min(_SHOWN, len(judged) // 2)
    rows = [
        f"| {mark} | {one.name} | {one.num_annotations} | {percent(one.value)} |"
        for mark, those in (("strong", judged[:shown]), ("weak", judged[len(judged) - shown :]))
        for one in those
    ]
    rare = len(found.classes) - len(judged)
    text = "## Strengths and weaknesses\n\n"
    if rows:
        text += (
            f"| | class | annotations | {found.per_class} (%) |\n|---|---|---|---|\n"
            + "\n".join(rows)
            + "\n\n"
        )
    return text + (
        f"{count(rare, 'class')} with fewer than {_FEWEST} annotations in `{found.subset}` are "
        "not judged here."
        if rare
        else f"Every class has at least {_FEWEST} annotations in `{found.subset}`."
    )


def _unseen(facts: CardFacts) -> str:
    lines = "\n".join(f"- {sentence}" for sentence in facts.unseen)
    return f"## What it never saw\n\n{lines}"


def _training(facts: CardFacts) -> str:
    text = "## Training\n\n"
    if facts.data:
        names = list(facts.data)
        rows = list(dict.fromkeys(row for column in facts.data.values() for row in column))
        text += "| data | " + " | ".join(names) + " |\n" + "|---" * (len(names) + 1) + "|\n"
        for row in rows:
            cells = [facts.data[name].get(row, "") for name in names]
            text += f"| {row} | " + " | ".join(cells) + " |\n"
        text += "\n"
    else:
        text += "The annotations were not at hand when this card was written.\n\n"
    parts = {**facts.network, **{name: str(value) for name, value in facts.settings.items()}}
    rows = [f"| {name} | {value} |" for name, value in parts.items()]
    return (
        text
        + "| setting | |\n|---|---|\n"
        + "\n".join(rows)
        + "\n\nAll settings are in `config.yaml`, the losses in `log.jsonl`, versions and hardware "
        "in `environment.json`, and the SHA-256 of every file in `mmad.json`."
    )


def _licences(facts: CardFacts) -> str:
    licence = facts.licence or "not stated by their owner: ask before you use them"
    lines = [f"- **These weights**: {licence}.", f"- **Data**: {facts.data_licence}"]
    if facts.base is None:
        lines.append("- **Pre-trained weights**: none; training started from random ones.")
    else:
        place = f"[{facts.base}](https://huggingface.co/{facts.base})"
        name = place if facts.base_is_on_hub else f"`{facts.base}`"
        stated = facts.base_licence or "not known here"
        lines.append(
            f"- **Pre-trained weights**: {name}, licence {stated}. They are part of these weights, "
            "so their terms hold as well."
        )
    return "## Licences\n\n" + "\n".join(lines)


def _citation(facts: CardFacts) -> str:
    works = [_ARXIV[name] for name in dict.fromkeys(facts.families) if name in _ARXIV]
    text = (
        f"## Citation\n\nCite this repository with its commit, mmad {__version__}, the data that "
        "you test on"
    )
    if not works:
        return f"{text}."
    lines = [f"- {title}: [arXiv {place}](https://arxiv.org/abs/{place})" for title, place in works]
    return f"{text}, and what the network is made of:\n\n" + "\n".join(lines)
