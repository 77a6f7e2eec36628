import pytest
from rich.console import Console

from mmad.evaluation.detection import evaluate_detections, parse_tiou
from mmad.labels import MA52
from mmad.report.tables import counts_text, paper_table, threshold_table
from mmad.structures import Annotations, Detections, VideoRecord

pytestmark = pytest.mark.slow

FOUND = Detections([[0, 2], [1, 4], [3, 9]], [9, 8, 24], [0.9, 0.5, 0.05])
TRUTH = Annotations([[0.0, 2.2]], [9])


def text_of(thing: object) -> str:
    console = Console(width=140, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(thing)
    return console.export_text()


def test_tables_have_the_numbers() -> None:
    report = evaluate_detections(
        {"v": FOUND},
        [VideoRecord("v", 9.0, "val", annotations=TRUTH)],
        labels=MA52,
        tiou=parse_tiou("0.1:0.9"),
    )
    assert "100.00" in text_of(threshold_table(report))
    assert "AVG" in text_of(paper_table(report))
    assert "left out 51 classes without annotations: A1 shaking body" in counts_text(report)
