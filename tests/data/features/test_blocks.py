import pytest

from mmad.data.features.blocks import ClipLayout

pytestmark = pytest.mark.slow


def test_blocks_of_windows_far_apart_stay_small() -> None:
    layout = ClipLayout(16, 16, 500, 1, block_clips=8, is_dense=False)
    spans = [len(span) for span, _, _ in layout.blocks(20_000)]
    assert max(spans) <= 8 * 16
    assert len(spans) == layout.num_clips(20_000)
