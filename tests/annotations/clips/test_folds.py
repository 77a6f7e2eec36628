from pathlib import Path

import pytest

from mmad.annotations.clips.folds import ClipLists
from mmad.errors import AnnotationError
from mmad.labels import flat_labels

LABELS = flat_labels(["nod", "wave"])


def put(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def ids(lists: ClipLists, subset: str) -> list[str]:
    return [clip.clip_id for clip in lists.read(subset, labels=LABELS)]


@pytest.fixture
def table(tmp_path: Path) -> str:
    """12 clips of four subjects; folds 1 to 3 hold every third clip."""
    rows = [f"{i}.mp4,{i % 2},p{i // 3},{1 + i % 3}" for i in range(12)]
    return put(tmp_path, "clips.csv", "\n".join(["clip,label,subject,fold", *rows]) + "\n")


def test_a_column_of_folds(table: str) -> None:
    paths = {"train": [table], "val": [table]}
    for fold in range(3):
        lists = ClipLists(paths, fold=str(fold + 1))
        held_out = [f"{i}.mp4" for i in range(12) if i % 3 == fold]
        assert ids(lists, "val") == held_out
        assert ids(lists, "train") == [f"{i}.mp4" for i in range(12) if i % 3 != fold]
    assert ids(ClipLists(paths, fold="2", most=2), "train") == ["0.mp4", "2.mp4"]
    with pytest.raises(AnnotationError, match=r"clips\.csv: there is no fold 4; found 1, 2, 3"):
        ids(ClipLists(paths, fold="4"), "train")
    with pytest.raises(
        AnnotationError, match=r"has the folds 1, 2, 3; choose .*--fold 1 \(data.fold in a"
    ):
        ids(ClipLists(paths), "train")
    # Where nothing is held out, all are trained on.
    assert len(ids(ClipLists({"train": [table]}), "train")) == 12


def test_folds_that_are_drawn_share_no_subject(table: str) -> None:
    parts = []
    for fold in ("1", "2"):
        lists = ClipLists({"train": [table]}, fold=fold, folds=2)
        assert lists.names("val")
        held_out, others = ids(lists, "val"), ids(lists, "train")
        assert sorted(held_out + others) == sorted(f"{i}.mp4" for i in range(12))
        people = [{int(name[:-4]) // 3 for name in part} for part in (held_out, others)]
        assert not people[0] & people[1]
        parts.append(held_out)
    assert not set(parts[0]) & set(parts[1])
    assert len(parts[0]) == len(parts[1]) == 6
    with pytest.raises(AnnotationError, match=r"no fold 3: data\.folds is 2; expected 1 to 2"):
        ids(ClipLists({"train": [table]}, fold="3", folds=2), "train")
    with pytest.raises(AnnotationError, match="has the folds 1, 2; choose the one"):
        ids(ClipLists({"train": [table]}, folds=2), "train")
    with pytest.raises(AnnotationError, match=r"as there are groups \(subjects\), 4, found 5"):
        ids(ClipLists({"train": [table]}, fold="1", folds=5), "train")


def test_what_cannot_be_divided(tmp_path: Path) -> None:
    some = put(tmp_path, "some.csv", "clip,label,subject\na.mp4,0,p\nb.mp4,1,\n")
    with pytest.raises(AnnotationError, match=r"1 of 2 clips have no subject, first b\.mp4"):
        ids(ClipLists({"train": [some]}, fold="1", folds=2), "train")
    bare = put(tmp_path, "bare.csv", "clip\na.mp4\nb.mp4\n")
    with pytest.raises(AnnotationError, match="clips without labels cannot be divided"):
        ids(ClipLists({"train": [bare]}, fold="1", folds=2), "train")
    # Without subjects the clips themselves are divided.
    plain = put(tmp_path, "plain.txt", "a.mp4 0\nb.mp4 1\nc.mp4 0\nd.mp4 1\n")
    labels = [
        clip.label
        for clip in ClipLists({"train": [plain]}, fold="1", folds=2).read("val", labels=LABELS)
    ]
    assert sorted(map(int, labels)) == [0, 1]


def test_official_splits_in_files(tmp_path: Path) -> None:
    for fold in (1, 2, 3):
        put(tmp_path, f"ucf/trainlist0{fold}.txt", f"nod/t{fold}.avi 0\n")
        put(tmp_path, f"ucf/testlist0{fold}.txt", f"wave/v{fold}.avi\n")
    train, test = (str(tmp_path / "ucf" / f"{name}list0{{fold}}.txt") for name in ("train", "test"))
    lists = ClipLists({"train": [train], "val": [test]}, fold="2")
    assert (ids(lists, "train"), ids(lists, "val")) == (["nod/t2.avi"], ["wave/v2.avi"])
    assert lists.is_there(train)
    assert ClipLists({}).is_there(train)
    with pytest.raises(AnnotationError, match=r"no fold 7, no .*list07\.txt; found 1, 2, 3"):
        ids(ClipLists({"train": [train]}, fold="7"), "train")
    with pytest.raises(AnnotationError, match="has the folds 1, 2, 3; choose the one to hold out"):
        ids(ClipLists({"train": [train]}), "train")
    nowhere = str(tmp_path / "none" / "{fold}.txt")
    assert not ClipLists({}).is_there(nowhere)
    with pytest.raises(
        AnnotationError, match=r"has folds; choose the one to hold out: pass --fold K"
    ):
        ids(ClipLists({"train": [nowhere]}), "train")


def test_official_splits_in_a_folder(tmp_path: Path) -> None:
    for fold in (1, 2):
        put(tmp_path, f"hmdb/nod_test_split{fold}.txt", f"a.avi {fold}\n")
        put(tmp_path, f"hmdb/wave_test_split{fold}.txt", f"b.avi {3 - fold}\nc.avi 0\n")
    folder = str(tmp_path / "hmdb")
    paths = {"train": [folder], "val": [folder]}
    lists = ClipLists(paths, fold="1")
    assert (ids(lists, "train"), ids(lists, "val")) == (["nod/a.avi"], ["wave/b.avi"])
    assert ids(ClipLists(paths, fold="2"), "train") == ["wave/b.avi"]
    with pytest.raises(AnnotationError, match=r"hmdb: there is no fold 3; found 1, 2"):
        ids(ClipLists(paths, fold="3"), "train")
    with pytest.raises(AnnotationError, match="has the folds 1, 2; choose the one"):
        ids(ClipLists(paths), "train")


def test_a_fold_of_lists_without_folds(tmp_path: Path) -> None:
    plain = put(tmp_path, "plain.txt", "a.mp4 0\n")
    with pytest.raises(AnnotationError, match=r"no fold 2: .*plain\.txt has no folds; expected a"):
        ids(ClipLists({"train": [plain]}, fold="2"), "train")


def test_the_lists_of_settings() -> None:
    settings = {"train": ["a", "b"], "val": "c", "test": None, "fold": 3, "max_clips": 7}
    lists = ClipLists.of(settings)
    assert lists.paths == {"train": ["a", "b"], "val": ["c"], "test": []}
    assert (lists.fold, lists.folds, lists.most) == ("3", None, 7)
    assert [lists.names(subset) for subset in ("train", "val", "test")] == [True, True, False]
