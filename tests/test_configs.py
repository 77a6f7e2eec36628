"""Every YAML file: it is read, it is complete, and it trains a step."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from synthetic_data import tiny_content

from mmad.config.compat import PRESETS_OF_FEATURES
from mmad.config.reading import (
    SHIPPED_CONFIGS,
    dump_config,
    load_any_config,
    load_config,
    parse_config,
)
from mmad.engine.smoke import smoke_config
from mmad.engine.training import train_run
from mmad.errors import ConfigError

CONFIGS = sorted(SHIPPED_CONFIGS.glob("*.yaml"))


def test_there_are_configs() -> None:
    assert {"dsta_videomae_b.yaml", "demo.yaml"} <= {path.name for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_trains_a_step(path: Path, videos: Path, features: Path, tmp_path: Path) -> None:
    lists = videos / "annotations"
    config = load_any_config(path)
    if config.task == "detection" and hasattr(config.data, "features"):
        places = [f"data.annotations={lists / 'mma52.json'}", f"data.features={features}"]
    elif config.task == "detection":
        places = [f"data.annotations={lists / 'mma52.json'}", f"data.videos={videos / 'videos'}"]
    else:
        places = [f"data.clips={videos / 'clips'}"]
        places += [f"data.{name}=[{lists}/ma52_{name}.txt]" for name in ("train", "val")]
    config = smoke_config(load_any_config(path, overrides=places), data=tmp_path / "unused")
    folder = train_run(config, out=tmp_path / "run", quiet=True)
    assert [row["step"] for row in folder.rows() if row["kind"] == "step"] == [1]
    assert not (tmp_path / "unused").exists()


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("demo", ["data.annotations=nowhere.json", "data.videos=nowhere"]),
        ("recognition_dsta_videomae_b", []),
        ("features_actionformer", []),
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
    assert made == {"smoke_data", "run"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_dump_is_read_back(path: Path, tmp_path: Path) -> None:
    config = load_any_config(path)
    (tmp_path / "c.yaml").write_text(dump_config(config))
    assert load_any_config(tmp_path / "c.yaml") == config


@pytest.mark.parametrize("compat", ["opentad", "actionformer"])
@pytest.mark.parametrize(
    "path", [p for p in CONFIGS if p.stem.startswith("features_")], ids=lambda path: path.stem
)
def test_any_detector_takes_a_preset(path: Path, compat: str) -> None:
    """What the preset says of settings that a detector does not have is left out."""
    config = load_any_config(path, overrides=[f"compat={compat}"])
    preset = PRESETS_OF_FEATURES[compat]["detector"]
    given = yaml.safe_load(path.read_text(encoding="utf-8"))["detector"]
    taken = {key: value for key, value in preset.items() if key not in given}
    own = config.detector.model_dump()
    assert all(own[key] == value for key, value in taken.items() if key in own)
    assert ("mask_levels" in own) == (path.stem[9:] not in ("pointtad", "tadtr", "mstct"))


def test_a_shipped_config_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config("configs/dsta_videomae_b.yaml").backbone.adapter.name == "dsta"
    with pytest.raises(ConfigError, match=r"did you mean configs/dsta_videomae_b\.yaml"):
        load_config("configs/dsta_videomae_bb.yaml")


def problems(tmp_path: Path, **changes: object) -> str:
    content = tiny_content(tmp_path)
    for key, value in changes.items():
        *parents, last = key.split("__")
        place = content
        for parent in parents:
            place = place[parent]
        place[last] = value
    with pytest.raises(ConfigError, match=r"c\.yaml") as error:
        parse_config(content, source="c.yaml")
    return str(error.value)


def test_all_problems_in_one_message(tmp_path: Path) -> None:
    text = problems(tmp_path, data__windw_frames=3, training__epochs="many", data__frame_stride=0)
    assert text.startswith("c.yaml: 3 problems")
    assert "data.windw_frames: there is no such setting; did you mean 'window_frames'?" in text
    assert "training.epochs: input should be a valid integer" in text
    assert "found 'many'" in text
    assert "data.frame_stride: input should be greater than or equal to 1; found 0" in text


def test_problems_of_every_kind_come_in_one_list(tmp_path: Path) -> None:
    """Of one setting, of a group, of several groups, and of the overrides."""
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(tiny_content(tmp_path)))
    overrides = [
        "seed",
        "data.videos.x=1",
        "data.shorten=[1.0, 0.5]",
        "data.window_frames=65",
        "data.image_size=50",
        "data.frame_stride=0",
        "training.clip_gradient=many",
        "training.accumulate=3",
        "upsampling=2.5",
        "detector.regression_ranges=[[4, 0]]",
        "inference.sigma=-1",
        "inference.nmss=hard",
    ]
    with pytest.raises(ConfigError, match=r"c\.yaml: 13 problems") as error:
        load_config(tmp_path / "c.yaml", overrides=overrides)
    for expected in (
        "override 'seed': expected key=value",
        "override 'data.videos.x=1': 'videos' is '",
        "data: shorten: expected 0 < smallest <= largest",
        "data.window_frames 65 is not a multiple of backbone.clip_frames 16",
        "data.image_size 50 is not a multiple of 16 pixels",
        "data.frame_stride: input should be greater than or equal to 1",
        "training.clip_gradient: input should be a valid number",
        "training: batch_videos 2 is not a multiple of accumulate 3",
        "upsampling: expected a whole number, or 0.5, 0.25 and so on; found 2.5",
        "detector: regression_ranges: expected one for each of",
        "detector: regression_ranges: expected 0 <= low < high, found [4.0, 0.0]",
        "inference.sigma: input should be greater than",
        "inference.nmss: there is no such setting",
    ):
        assert expected in str(error.value)


def test_a_default_in_place_of_a_wrong_value_is_no_problem(tmp_path: Path) -> None:
    text = problems(tmp_path, data__window_frames="many", backbone__clip_frames=30)
    assert "window_frames: input should be a valid integer" in text
    assert "multiple of" not in text


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("backbone__adapter", {"name": "dsta", "ratoi": 1}, "did you mean 'ratio'"),
        ("backbone__adapter", {"name": "lora"}, "backbone.adapter"),
        (
            "backbone__size",
            {"width": 10, "depth": 1, "num_heads": 4},
            "not a multiple of num_heads",
        ),
        ("backbone__size", "smal", "'small'"),
        ("detector__num_branch", 4, "expected one for each of 5 levels"),
        ("data__window_frames", 65, "not a multiple of backbone.clip_frames 16"),
        ("data__shorten", [1.0, 0.5], "expected 0 < smallest <= largest"),
        ("training__accumulate", 3, "not a multiple of accumulate 3"),
    ],
)
def test_impossible_values(tmp_path: Path, key: str, value: object, expected: str) -> None:
    assert expected in problems(tmp_path, **{key: value})


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.epochs", "expected key=value"),
        ("seed.x=1", "'seed' is 0, not a group of settings"),
        ("training.epochs=[", "not valid YAML"),
    ],
)
def test_bad_overrides(override: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected.replace("[", r"\[")):
        load_config("configs/demo.yaml", overrides=[override])


def test_numbers_with_exponents_are_numbers() -> None:
    config = load_config("configs/demo.yaml", overrides=["training.learning_rate=1e-4"])
    assert config.training.learning_rate == 1e-4


def test_missing_weights_say_how_to_get_them(videos: Path, tmp_path: Path) -> None:
    config = load_config(
        "configs/dsta_videomae_s.yaml",
        overrides=[
            f"data.annotations={videos / 'annotations' / 'mma52.json'}",
            f"data.videos={videos / 'videos'}",
        ],
    )
    with pytest.raises(ValueError, match="get them from their authors"):
        train_run(config, out=tmp_path / "run", quiet=True)


PAPERS = [path for path in CONFIGS if re.fullmatch(r"(?!recognition).*_videomae_[sb]", path.stem)]


@pytest.mark.parametrize("path", PAPERS, ids=lambda path: path.stem)
def test_the_configs_of_the_paper_name_who_sets_each_value(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    config = load_config(path)
    assert config.backbone is not None
    assert config.backbone.activation_checkpointing  # section 5.1
    assert config.backbone.freeze != path.stem.startswith("full")
    assert ("remains fixed" in text) == config.backbone.freeze
    said = ""
    for line in text[text.index("  image_size") :].splitlines():
        value, _, comment = line.partition("  # ")
        if comment:
            said = comment
        elif value.startswith("  ") and not re.match(r"  (size|num_workers|adapter)", value):
            # A value without a comment belongs to a block that a comment covers.
            assert re.search(r"as (all of this block|the next)", said), value


def test_benchmarks_and_tools_need_declared_packages_only() -> None:
    root = Path(__file__).parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    declared = {
        re.split(r"[^A-Za-z0-9_-]", text)[0].lower().replace("-", "_")
        for text in (*project["dependencies"], *(text for extra in extras for text in extra))
    }
    called = {"cv2": "opencv_python_headless", "yaml": "pyyaml", "sklearn": "scikit_learn"}
    for path in (*root.glob("benchmarks/*.py"), *root.glob("tools/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in {name.split(".")[0] for name in names}:
                own = {"mmad", "benchmarks", "tools", "tests", path.parent.name}
                local = (path.parent / f"{name}.py").exists() or (path.parent / name).exists()
                if name in sys.stdlib_module_names or name in own or local:
                    continue
                assert called.get(name, name) in declared, f"{path.name} imports {name}"
