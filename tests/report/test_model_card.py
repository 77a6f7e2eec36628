"""The model card: metadata that the Hub reads, and what it says of a run."""

import re

import yaml

from mmad.labels import LabelMap
from mmad.report.model_card import CardFacts, ClassFigure, Evaluation, Figure, model_card

LABELS = LabelMap(tuple("abcdefghijkl"))
CLASSES = tuple(
    ClassFigure(name, 10 if name < "k" else 1, place / 20)
    for place, name in enumerate(LABELS.names)
)
EVALUATION = Evaluation(
    "val",
    "protocol `mma52`",
    "80 videos",
    (
        Figure("average mAP, action", "mAP", 0.2034, (0.18, 0.23)),
        Figure("mAP at tIoU 0.5, action", "mAP", 0.1),
    ),
    "AP",
    CLASSES,
)


def facts(**changes: object) -> CardFacts:
    content = {
        "repository": "lab/dsta",
        "task": "detection",
        "labels": LABELS,
        "network": {"backbone": "videomae, base", "detector": "actionformer"},
        "settings": {"epochs": 60},
        "data": {"training": {"videos": "4,534"}, "val": {"videos": "80", "hours": "0.2"}},
        "unseen": ["Real people."],
        "evaluation": EVALUATION,
        "licence": "cc-by-nc-4.0",
        "data_licence": "given out under a form.",
        "base": "MCG-NJU/videomae-base-finetuned-kinetics",
        "base_is_on_hub": True,
        "base_licence": "cc-by-nc-4.0",
        "families": ["videomae", "actionformer"],
    }
    return CardFacts(**{**content, **changes})


def metadata_of(card: str) -> dict:
    found = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    assert found is not None
    return yaml.safe_load(found[1])


def test_metadata_is_read_by_the_hub() -> None:
    from huggingface_hub import ModelCard

    card = model_card(facts())
    data = ModelCard(card).data
    assert (data.license, data.library_name) == ("cc-by-nc-4.0", "mmad")
    assert data.base_model == "MCG-NJU/videomae-base-finetuned-kinetics"
    first, second = data.eval_results
    assert (first.metric_type, first.metric_value, first.dataset_split) == ("mAP", 20.34, "val")
    assert second.metric_name == "mAP at tIoU 0.5, action"


def test_figures_have_intervals_and_classes_are_judged_by_enough() -> None:
    card = model_card(facts())
    assert "| average mAP, action | 20.34 | 18.00 to 23.00 |" in card
    assert "| mAP at tIoU 0.5, action | 10.00 | not computed |" in card
    rows = [
        line.split(" | ")[:2] for line in card.splitlines() if line.startswith(("| st", "| we"))
    ]
    assert [name for mark, name in rows if mark == "| strong"] == ["j", "i", "h", "g", "f"]
    assert [name for mark, name in rows if mark == "| weak"] == ["e", "d", "c", "b", "a"]
    assert "2 classes with fewer than 5 annotations in `val` are not judged here." in card


def test_what_is_not_known_is_said() -> None:
    card = model_card(
        facts(evaluation=None, licence=None, base=None, base_is_on_hub=False, data={}, families=[])
    )
    assert metadata_of(card)["license"] == "unknown"
    assert "model-index" not in metadata_of(card)
    assert "Not measured" in card
    assert "The annotations were not at hand" in card
    assert "**These weights**: not stated by their owner" in card
    assert "**Pre-trained weights**: none" in card


def test_a_run_on_features_says_what_it_needs() -> None:
    card = model_card(facts(backbone="MCG-NJU/videomae-base"))
    assert "mmad detect VIDEO --backbone BACKBONE --checkpoint lab/dsta" in card
    assert "holds the temporal detector alone" in card
