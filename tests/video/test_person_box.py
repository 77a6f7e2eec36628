import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from mmad.errors import AnnotationError, VideoError
from mmad.video.person_box import PersonBox, motion_box, read_boxes, union_box

HEIGHT, WIDTH = 120, 160
HEADER = "video_id,frame,left,top,right,bottom,score\n"


class FakeReader:
    """Images in memory as a reader; the video is ``enlarged`` times as large as they are."""

    def __init__(self, images: NDArray[np.uint8], *, enlarged: int = 1) -> None:
        self.images = images
        num_frames, height, width = images.shape[:3]
        self.index = SimpleNamespace(
            num_frames=num_frames, width=width * enlarged, height=height * enlarged
        )

    def stream(self, frame_indices: Iterable[int] | None = None) -> Iterator[NDArray[np.uint8]]:
        chosen = range(len(self.images)) if frame_indices is None else frame_indices
        return iter([self.images[index] for index in chosen])


def noisy_background(num_frames: int, *, noise: float = 6.0) -> NDArray[np.uint8]:
    """A texture with noise of this standard deviation in greys and a drifting brightness."""
    rng = np.random.default_rng(0)
    texture = 80 + 60 * rng.random((HEIGHT, WIDTH, 1))
    drift = np.linspace(0, 20, num_frames)[:, None, None, None]
    frames = texture + drift + rng.normal(0, noise, (num_frames, HEIGHT, WIDTH, 1))
    return np.repeat(np.clip(frames, 0, 255).astype(np.uint8), 3, axis=3)


def moving_square(num_frames: int = 40) -> NDArray[np.uint8]:
    """A bright square of 20 pixels, in rows 30 to 50, from column 40 to column 118 + 20."""
    frames = noisy_background(num_frames)
    for number, frame in enumerate(frames):
        frame[30:50, 40 + 2 * number : 60 + 2 * number] = 230
    return frames


def test_union_by_hand() -> None:
    boxes = np.array([[10.0, 20, 30, 40], [20, 10, 110, 60]])  # together 10 to 110, 10 to 60
    box = union_box(boxes, width=200, height=100, expand=0.05, least_aspect=0.6)
    assert box == PersonBox(10 - 5, 10 - 2.5, 100 + 10, 50 + 5)
    # Cut at the image on all sides.
    box = union_box(boxes, width=112, height=61, expand=0.2, least_aspect=0.6)
    assert box == PersonBox(0, 0, 112, 61)


def test_narrow_union_is_widened_about_its_middle() -> None:
    boxes = np.array([[90.0, 10, 110, 110]])  # 20 x 100, so it becomes 60 wide
    box = union_box(boxes, width=300, height=200, expand=0, least_aspect=0.6)
    assert box == PersonBox(100 - 30, 10, 60, 100)


def test_widening_at_the_edge_moves_inwards() -> None:
    boxes = np.array([[0.0, 10, 20, 110]])
    assert union_box(boxes, width=300, height=200, expand=0) == PersonBox(0, 10, 60, 100)
    boxes = np.array([[280.0, 10, 300, 110]])
    assert union_box(boxes, width=300, height=200, expand=0) == PersonBox(240, 10, 60, 100)


def test_aspect_holds_after_clamping_where_the_released_code_gives_less() -> None:
    boxes = np.array([[20.0, 0, 40, 200]])  # wants 0.6 * 200 = 120, but the image has 60
    box = union_box(boxes, width=60, height=200, expand=0)
    assert box == PersonBox(0, 50, 60, 100)  # 60 / 0.6 = 100, cut at both ends


@pytest.mark.parametrize("seed", range(20))
def test_aspect_and_borders_hold_for_any_boxes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    width, height = (int(side) for side in rng.integers(20, 400, 2) * 2)
    corner = rng.uniform(0, (width - 1, height - 1), (5, 2))
    boxes = np.concatenate((corner, corner + rng.uniform(1, 300, (5, 2))), axis=1)
    box = union_box(boxes, width=width, height=height)
    assert box.width / box.height >= 0.6 - 1e-9
    assert min(box.left, box.top) >= 0
    assert box.left + box.width <= width + 1e-9
    assert box.top + box.height <= height + 1e-9
    rows, columns = box.pixels(width=width, height=height)
    kept = columns.stop - columns.start, rows.stop - rows.start
    assert kept[0] % 2 == kept[1] % 2 == 0
    assert kept[0] / kept[1] >= 0.6 - 1e-9
    assert 0 <= columns.start < columns.stop <= width
    assert 0 <= rows.start < rows.stop <= height


def test_no_boxes_are_the_whole_image() -> None:
    assert union_box(np.zeros((0, 4)), width=50, height=200) == PersonBox(0, 0, 50, 200)


def test_impossible_boxes() -> None:
    with pytest.raises(VideoError, match=r"\(300, 10\) to \(320, 30\) lie outside of the image"):
        union_box(np.array([[300.0, 10, 320, 30]]), width=200, height=100)
    with pytest.raises(VideoError, match=r"expected 0 or more, found -0\.1"):
        union_box(np.zeros((0, 4)), width=200, height=100, expand=-0.1)


def test_odd_images_lose_a_pixel() -> None:
    rows, columns = PersonBox(0, 0, 161, 49).pixels(width=161, height=49)
    assert (rows, columns) == (slice(0, 48), slice(0, 160))


def test_moving_square_is_found_within_a_few_pixels() -> None:
    box, moved = motion_box(FakeReader(moving_square()), expand=0, least_aspect=0)
    assert moved
    found = [box.left, box.top, box.left + box.width, box.top + box.height]
    np.testing.assert_allclose(found, [40, 30, 138, 50], atol=4)


def test_motion_is_told_in_pixels_of_the_full_size() -> None:
    small, _ = motion_box(FakeReader(moving_square()))
    large, _ = motion_box(FakeReader(moving_square(), enlarged=3))
    assert large.left == pytest.approx(3 * small.left)
    assert large.width == pytest.approx(3 * small.width)
    assert large.height == pytest.approx(3 * small.height)


@pytest.mark.parametrize("noise", [0.0, 6.0, 15.0])
def test_noise_and_drifting_light_do_not_move(noise: float) -> None:
    box, moved = motion_box(FakeReader(noisy_background(30, noise=noise)))
    assert not moved
    assert box == PersonBox(0, 0, WIDTH, HEIGHT)


def test_specks_are_left_out() -> None:
    frames = moving_square()
    for number, frame in enumerate(frames):
        # A lamp that is on for half of the time, less than 0.1 % of 120 x 160 = 19.2 pixels.
        frame[100:102, 5:7] = 230 if number < 20 else frame[100:102, 5:7]
    box, moved = motion_box(FakeReader(frames), expand=0, least_aspect=0)
    assert moved
    assert box.top + box.height < 60
    assert box.left > 30


def test_one_image_does_not_move() -> None:
    assert motion_box(FakeReader(noisy_background(1))) == (PersonBox(0, 0, WIDTH, HEIGHT), False)


def test_every_format_gives_the_same_boxes(tmp_path: Path) -> None:
    boxes = {"a": [[1.0, 2, 30, 40], [5, 2, 50, 44.5]], "b": [[0.0, 0, 9, 9]]}
    rows = [(video_id, box) for video_id, some in boxes.items() for box in some]
    lines = [f"{v}.mp4,{n},{','.join(map(str, box))},0.9" for n, (v, box) in enumerate(rows)]
    text = "\ufeff" + HEADER.replace("\n", "\r\n") + "\r\n".join(lines) + "\r\n"
    (tmp_path / "a.csv").write_text(text, newline="")
    (tmp_path / "a.json").write_text(json.dumps(boxes))
    sides = ("left", "top", "right", "bottom")
    entries = [{"video_id": v, **dict(zip(sides, box, strict=True))} for v, box in rows]
    (tmp_path / "b.json").write_text(json.dumps(entries))
    np.savez(tmp_path / "a.npz", **{name: np.array(some) for name, some in boxes.items()})
    for name in ("a.csv", "a.json", "b.json", "a.npz"):
        found = read_boxes(tmp_path / name)
        assert set(found) == {"a", "b"}
        for video_id, some in boxes.items():
            order = np.argsort(found[video_id][:, 0])
            np.testing.assert_array_equal(found[video_id][order], some)


def test_a_video_without_boxes_is_known(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [[1, 2, 3, 4]], "b": []}')
    assert read_boxes(tmp_path / "a.json")["b"].shape == (0, 4)


def test_everything_wrong_with_boxes_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = ["a,0,1,2,nan,40,1", "a,1,20,3,5,40,1", "b,1,.1,.1,.5,.7,1", "b,1,x,2,3,4,1", "b,1"]
    path.write_text(HEADER + "\n".join([*rows, "c,0,1,2,30,40,1"]) + "\n")
    with pytest.raises(AnnotationError, match=r"a\.csv: 5 problems") as caught:
        read_boxes(path)
    message = str(caught.value)
    assert "line 2 (video a): expected four finite numbers, found 1, 2, nan, 40" in message
    assert "line 3 (video a): expected left < right and top < bottom" in message
    assert "line 4 (video b): expected pixels, and these look like shares" in message
    assert "line 5 (video b): expected left, top, right, bottom as numbers" in message
    assert "line 6: expected 7 columns, found 2" in message
    np.savez(tmp_path / "a.npz", a=np.array([[1, 2, 30, 40], [5, 5, 5, 9.0]]), b=np.ones(4))
    with pytest.raises(AnnotationError, match=r"a\.npz: 2 problems") as caught:
        read_boxes(tmp_path / "a.npz")
    assert "video a, box 1: expected left < right" in str(caught.value)
    assert "video b: expected numbers of shape (M, 4)" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "x", r"expected a file of boxes that ends with \.csv, \.json, \.npz"),
        ("a.csv", "", "is empty"),
        ("a.csv", HEADER, "contains no boxes"),
        ("a.csv", "video_id,x,y,w,h\na,1,2,3,4\n", "left, top, right, bottom missing from"),
        ("a.json", '{"a": [[1, 2', "not valid JSON"),
        ("a.json", '{"a": [[1, 2, 3]]}', "video a: expected left, top, right, bottom"),
        ("a.json", '{"a": 5}', "video a: expected a list of boxes, found 5"),
        ("a.json", '{"a": [[1,2,3,4]], "a": []}', "video a appears twice"),
        ("a.json", '[{"left": 2}]', "entry 0: expected video_id, left, top, right, bottom"),
        ("a.json", "{}", "contains no boxes"),
        ("a.npz", "no zip", "expected an npz file"),
    ],
)
def test_other_files_are_refused(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(AnnotationError, match=message):
        read_boxes(tmp_path / name)


@pytest.mark.parametrize("name", ["none.csv", "none.json", "none.npz"])
def test_a_missing_file_is_told(name: str, tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=f"{name}.*(not found|No such file)"):
        read_boxes(tmp_path / name)


def test_the_column_of_ids_may_be_called_video(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("video,left,top,right,bottom\nv,1,2,30,40\n")
    assert list(read_boxes(tmp_path / "b.csv")) == ["v"]
