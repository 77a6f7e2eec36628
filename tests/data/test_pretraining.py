"""Clips of pre-training: the same for the same seed, epoch and index, whatever was read before."""

from pathlib import Path

import av

from mmad.data.pretraining import MaskedClips, MaskedItem, stretches_of
from support.clips import write_clip
from support.pretraining import pretraining_config


def test_damage_of_other_clips_skips_no_clip(tmp_path: Path) -> None:
    path = write_clip(
        tmp_path / "a.mp4",
        num_frames=90,
        x264_params="keyint=15:min-keyint=15:scenecut=0:bframes=0",
    )
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for packet in packets[60:]:
        content[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    path.write_bytes(content)
    config = pretraining_config(
        tmp_path, data__stretch_seconds=1.0, data__max_missing=0.05, backbone__clip_frames=16
    )
    stretches = stretches_of(path, "a", config, fps=None)
    assert len(stretches) == 3
    clips = MaskedClips(stretches, config, training=False)
    damaged, whole = clips[0, 2], clips[0, 0]
    assert isinstance(damaged, MaskedItem)
    assert damaged.skipped
    assert isinstance(whole, MaskedItem)
    assert not whole.skipped
