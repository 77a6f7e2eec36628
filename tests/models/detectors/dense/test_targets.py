from functools import partial

import torch

from mmad.models.detectors.dense.points import make_points
from mmad.models.detectors.dense.targets import label_points, offsets_of_classes

label_by_centre = partial(label_points, centre_radius=1.5, shortest_labels_only=True)


def test_targets_by_hand() -> None:
    points = make_points([8], regression_ranges=torch.tensor([[0.0, 10000.0]]))
    segments = torch.tensor([[0.0, 6.0], [2.0, 4.0]])
    classes, offsets = label_by_centre(points, segments, torch.tensor([0, 2]), num_classes=3)
    # Centres are both 3, radius 1.5: points 2, 3, 4, but the ends of the shorter one are excluded.
    assert classes.argmax(1)[[2, 3, 4]].tolist() == [0, 2, 0]
    assert classes.sum(1).tolist() == [0, 0, 1, 1, 1, 0, 0, 0]
    assert offsets[3].tolist() == [3 - 2, 4 - 3]
    assert offsets[2].tolist() == [2 - 0, 6 - 2]


def test_targets_use_the_range_of_the_level() -> None:
    points = make_points([8, 4], regression_ranges=torch.tensor([[0.0, 2.0], [2.0, 99.0]]))
    classes, _ = label_by_centre(
        points, torch.tensor([[1.0, 6.0]]), torch.tensor([1]), num_classes=2
    )
    assert classes[:8].sum() == 0  # from any of its points, an end is at least 2.5 away
    assert classes[8:, 1].tolist() == [0, 1, 1, 0]


def test_no_annotations_no_targets() -> None:
    points = make_points([4], regression_ranges=torch.tensor([[0.0, 9.0]]))
    classes, offsets = label_by_centre(
        points, torch.zeros(0, 2), torch.zeros(0, dtype=torch.long), num_classes=2
    )
    assert classes.shape == (4, 2)
    assert offsets.abs().sum() == 0


def test_similar_lengths_share_a_point() -> None:
    points = make_points([8], regression_ranges=torch.tensor([[0.0, 99.0]]))
    segments = torch.tensor([[2.0, 5.0], [2.0, 5.0005], [1.0, 6.0]])
    labels = torch.tensor([0, 1, 2])
    classes, _ = label_by_centre(points, segments, labels, num_classes=3)
    assert classes[3].tolist() == [1, 1, 0]
    classes, _ = label_by_centre(
        points, segments, labels, num_classes=3, shortest_labels_only=False
    )
    assert classes[3].tolist() == [1, 1, 1]


def test_each_class_has_its_shortest_instance() -> None:
    points = make_points([8], regression_ranges=torch.tensor([[0.0, 99.0]]))
    segments = torch.tensor([[0.0, 7.0], [2.0, 5.0], [1.0, 6.0]])
    offsets = offsets_of_classes(
        points, segments, torch.tensor([0, 1, 0]), num_classes=3, centre_radius=1.5
    )
    # At point 3, class 0 has the third segment, shorter than the first, and class 1 the second.
    assert offsets[3].tolist() == [[3 - 1, 6 - 3], [3 - 2, 5 - 3], [0, 0]]
    assert offsets[7].tolist() == [[0, 0]] * 3
