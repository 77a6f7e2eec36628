"""Every YAML file: it is read, it is complete, and it trains a step."""

import ast
import math
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from mmad.config.compat import PRESETS_OF_FEATURES
from mmad.config.detectors.dense import DenseSettings
from mmad.config.reading import (
    SHIPPED_CONFIGS,
    dump_config,
    load_any_config,
    load_config,
    name_of_config,
)
from mmad.config.recognition import RecognitionConfig
from mmad.engine.schedule import learning_rate
from mmad.engine.smoke import smoke_config, tiny_config
from mmad.engine.training import train_run
from support.hub_server import use
from support.synthetic_data import own_labels

# That of an ensemble is not one of a run.
CONFIGS = sorted(p for p in SHIPPED_CONFIGS.rglob("*.yaml") if p.stem != "ensemble")


def kind_of(path: Path) -> str:
    """What a config has that another may not have, once both are tiny; the rows of the winner of
    2024 have the same parts, and differ in backbones and streams.
    """
    config = load_any_config(path)
    if path.parent.name != "winner" or not isinstance(config, RecognitionConfig):
        return dump_config(tiny_config(config))
    weights = config.data.flow and getattr(config.heads, "flow_weights", None)
    return f"winner: {config.backbone.name}, {config.data.flow_only}, {weights}"


# One of those that are equal once they are tiny, such as two sizes of a backbone.
DIFFERENT = list({kind_of(path): path for path in CONFIGS}.values())


def test_there_are_configs() -> None:
    assert {"dsta_videomae_b.yaml", "demo.yaml"} <= {path.name for path in CONFIGS}


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("path", DIFFERENT, ids=name_of_config)
def test_config_trains_a_step(
    path: Path, videos: Path, features: Path, felt: Path, tmp_path: Path
) -> None:
    lists = videos / "annotations"
    config = load_any_config(path)
    if config.task == "detection" and hasattr(config.data, "features"):
        places = [f"data.annotations={lists / 'mma52.json'}", f"data.features={features}"]
    elif config.task == "detection":
        places = [f"data.annotations={lists / 'mma52.json'}", f"data.videos={videos / 'videos'}"]
    elif config.task == "emotion":
        places = [f"data.annotations={felt / 'felt.csv'}"]
        if config.network.reads_bodies:
            places.append(f"data.videos={felt / 'videos'}")
        if config.network.reads_faces:
            places.append(f"data.faces={felt / 'faces'}")
    elif config.task == "pretraining":
        places = [f"data.videos={videos / 'videos'}"]
    elif config.data.labels != "ma52":
        labels, clips = own_labels(videos, tmp_path)
        places = [f"data.clips={videos / 'clips'}", f"data.labels={labels}"]
        places += [f"data.train=[{clips}]", "data.fold=1"]
    else:
        places = [f"data.clips={videos / 'clips'}"]
        places += [f"data.{name}=[{lists}/ma52_{name}.txt]" for name in ("train", "val")]
    config = smoke_config(load_any_config(path, overrides=places), data=tmp_path / "unused")
    folder = train_run(config, out=tmp_path / "run", quiet=True)
    assert [row["step"] for row in folder.rows() if row["kind"] == "step"] == [1]
    assert not (tmp_path / "unused").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("demo", ["data.annotations=nowhere.json", "data.videos=nowhere"]),
        ("recognition/dsta_videomae_b", []),
        ("recognition/own_labels", []),
        ("features/actionformer", []),
        ("emotion/manet_r50", []),
        ("pretraining/videomae_s", []),
    ],
)
def test_smoke_draws_its_own_data_where_there_are_none(
    name: str, overrides: list[str], tmp_path: Path
) -> None:
    for _ in range(2):  # the second time they are there
        config = smoke_config(
            load_any_config(f"configs/{name}.yaml", overrides=overrides),
            data=tmp_path / "smoke_data",
        )
    folder = train_run(config, out=tmp_path / "run", quiet=True)
    assert [row["step"] for row in folder.rows() if row["kind"] == "step"] == [1]
    made = {path.name for path in tmp_path.iterdir()} - {"smoke_data_features.h5"}
    drawn = "smoke_data_emotions smoke_data_faces" if config.task == "emotion" else "smoke_data"
    assert made == {*drawn.split(), "run"}


@pytest.mark.parametrize("path", CONFIGS, ids=name_of_config)
def test_dump_is_read_back(path: Path, tmp_path: Path) -> None:
    config = load_any_config(path)
    (tmp_path / "c.yaml").write_text(dump_config(config))
    assert load_any_config(tmp_path / "c.yaml") == config


@pytest.mark.parametrize("compat", ["opentad", "actionformer"])
@pytest.mark.parametrize(
    "path", [p for p in CONFIGS if p.parent.name == "features"], ids=name_of_config
)
def test_any_detector_takes_a_preset(path: Path, compat: str) -> None:
    """What the preset says of settings that a detector does not have is left out."""
    config = load_any_config(path, overrides=[f"compat={compat}"])
    preset = PRESETS_OF_FEATURES[compat]["detector"]
    given = yaml.safe_load(path.read_text(encoding="utf-8"))["detector"]
    taken = {key: value for key, value in preset.items() if key not in given}
    own = config.detector.model_dump()
    assert all(own[key] == value for key, value in taken.items() if key in own)
    assert ("mask_levels" in own) == isinstance(config.detector, DenseSettings)


def test_weights_that_cannot_be_fetched_say_how_to_get_them(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, "http://127.0.0.1:9", tmp_path / "cache")
    config = load_config(
        "configs/dsta_videomae_s.yaml",
        overrides=[
            f"data.annotations={videos / 'annotations' / 'mma52.json'}",
            f"data.videos={videos / 'videos'}",
        ],
    )
    with pytest.raises(ValueError, match=r"Two ways out: .* pass its path instead of MCG-NJU.* or"):
        train_run(config, out=tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


PAPERS = sorted(
    path
    for path in SHIPPED_CONFIGS.rglob("*_videomae_[sb].yaml")
    if path.parent.name not in ("recognition", "winner")
)


@pytest.mark.parametrize("path", PAPERS, ids=name_of_config)
def test_the_configs_of_the_paper_name_who_sets_each_value(path: Path) -> None:
    config = load_config(path)
    assert config.backbone is not None
    assert config.backbone.activation_checkpointing  # section 5.1
    assert config.backbone.freeze != path.stem.startswith("full")
    assert (config.compat == "opentad") == (path.parent.name == "opentad")
    lines = path.read_text(encoding="utf-8").splitlines()
    blocks = [line for line in lines if re.match(r"# (Paper|OpenTAD|Ours)\b.*:", line)]
    assert [line.split()[1].strip(":") for line in blocks] == ["Paper", "OpenTAD", "Ours"]
    for line in lines:
        if not line.startswith(("#", "extends")) and not re.fullmatch(r"\w+:", line):
            assert re.search(r"  # (paper|OpenTAD|ours)(: |$)", line), line


# Table II of the MA-52 paper: views in prediction (stretches x crops), and the learning rates of
# heads and of backbones in the last epoch, of the published recipes.
TABLE = {
    "tsn_r50": (3 * 10, 0.01 * 0.1**2),
    "tsm_r50": (1 * 10, 0.02 * 0.1**2),
    "tsn_bn_inception": (8 * 10, 0.001 * 0.1**2),
    "tin_r50": (1, 0.01 * 0.1**2),
    "c3d": (10, 0.001 * 0.1**2),
    "i3d_r50": (10 * 3, 0.01 * 0.1**2),
    "slowfast_r50": (10 * 3, 0.1 * (1 + math.cos(math.pi * 255 / 256)) / 2),
    "video_swin_t": (4 * 3, 1e-3 * (1 + math.cos(math.pi * 29 / 30)) / 2),
    "timesformer_divided": (1 * 3, 0.005 * 0.1**2),
    "uniformer_s": (4, 1e-6 + (1e-4 - 1e-6) * (1 + math.cos(math.pi * 99 / 100)) / 2),
    "manet_r50": (1, 0.001 * 0.1**2),
}


@pytest.mark.parametrize("name", TABLE)
def test_recipes_of_recognisers(name: str) -> None:
    path = SHIPPED_CONFIGS / "recognition" / f"{name}.yaml"
    config = load_any_config(path)
    assert isinstance(config, RecognitionConfig)
    views, rate = TABLE[name]
    training = config.training
    assert len(config.data.views("test")) == views
    assert len(config.data.views("val")) == 1
    for base in (training.learning_rate, training.backbone_learning_rate):
        ratio = base / training.learning_rate
        found = learning_rate(training.epochs - 1, base=base, settings=training, steps_per_epoch=1)
        assert found == pytest.approx(ratio * rate, rel=1e-9)
    assert (ratio == 1) == (name != "video_swin_t")
    assert (config.data.sampling == "segments") == config.backbone.name.startswith(
        ("resnet2d", "timesformer", "bn_inception")
    )
    assert_values_are_explained(path.read_text(encoding="utf-8"))


def assert_values_are_explained(text: str) -> None:
    """A value without a comment belongs to a block that a comment before it covers."""
    covered = False
    for line in text[text.index("  image_size") :].splitlines():
        value, _, comment = line.partition("  # ")
        if re.match(r"\w", value):  # the next group
            covered = False
        elif comment:
            covered |= re.search(r"as (all|the next)", comment) is not None
        elif not re.match(r"    |  (num_workers|name|freeze|frame|coarse|frame_coarse):", value):
            assert covered, value


# Tools that ask another program run in an environment of its own, as they say.
OTHER_PROGRAMS = {"boris_budget.py": {"boris"}}


def test_benchmarks_and_tools_need_declared_packages_only() -> None:
    root = Path(__file__).parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    declared = {
        re.split(r"[^A-Za-z0-9_-]", text)[0].lower().replace("-", "_")
        for text in (*project["dependencies"], *(text for extra in extras for text in extra))
    }
    called = {
        **{"cv2": "opencv_python_headless", "yaml": "pyyaml"},
        **{"sklearn": "scikit_learn", "PIL": "pillow", "griffe": "griffelib"},
    }
    for path in (*root.glob("benchmarks/*.py"), *root.glob("tools/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in {name.split(".")[0] for name in names}:
                own = {"mmad", "benchmarks", "tools", "tests", path.parent.name}
                local = (path.parent / f"{name}.py").exists() or (path.parent / name).exists()
                other = OTHER_PROGRAMS.get(path.name, set())
                if name in sys.stdlib_module_names | own | other or local:
                    continue
                assert called.get(name, name) in declared, f"{path.name} imports {name}"
