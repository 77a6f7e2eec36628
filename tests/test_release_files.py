"""What a release is made of says the same everywhere: versions, requirements, scripts, Pythons."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import mmad

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = {
    name: [Requirement(text) for text in texts]
    for name, texts in PROJECT["optional-dependencies"].items()
}
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
# Names of conda-forge's packages that differ from PyPI's.
OF_CONDA = {
    "matplotlib": "matplotlib-base",
    "opencv-python-headless": "py-opencv",
    "torch": "pytorch",
}


def content_of(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_the_version_is_the_same_everywhere() -> None:
    assert PROJECT["dynamic"] == ["version"]
    recipe = content_of("conda/recipe.yaml")
    assert recipe["context"]["version"] == mmad.__version__
    assert content_of("CITATION.cff")["version"] == mmad.__version__
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## \[(.+?)\]", changes, flags=re.MULTILINE)
    assert sections[0] == "Unreleased"
    assert mmad.__version__ in changes


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("citation-file-format", "CITATION.cff"),
        ("dependabot", ".github/dependabot.yml"),
        ("github-issue-config", ".github/ISSUE_TEMPLATE/config.yml"),
        ("github-issue-forms", ".github/ISSUE_TEMPLATE/[!c]*.yml"),
        ("github-workflows", ".github/workflows/*.yml"),
    ],
)
def test_files_follow_their_schema(schema: str, pattern: str) -> None:
    from check_jsonschema import main
    from click.testing import CliRunner

    files = [str(path) for path in ROOT.glob(pattern)]
    assert files
    done = CliRunner().invoke(main, ["--builtin-schema", f"vendor.{schema}", *files])
    assert done.exit_code == 0, done.output


def test_the_recipe_requires_what_the_package_does() -> None:
    recipe = content_of("conda/recipe.yaml")["requirements"]
    names = {"python": f">={PROJECT['requires-python'].removeprefix('>=')}"}
    for text in PROJECT["dependencies"]:
        one = Requirement(text)
        if one.marker is None:  # decord has no package for conda
            name = canonicalize_name(one.name)
            names[OF_CONDA.get(name, name)] = str(one.specifier)
    found = dict(
        text.replace("huggingface_hub", "huggingface-hub").split(" ", 1) for text in recipe["run"]
    )
    found["python"] = found["python"].replace("${{ python_min }}", "3.11")
    assert found == names
    built_with = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert [text.replace(" ", "") for text in recipe["host"][2:]] == built_with["build-system"][
        "requires"
    ]


def test_the_pythons_of_the_workflows_are_those_of_the_package() -> None:
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    matrix = content_of(".github/workflows/test.yml")["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["python"] == named
    assert PROJECT["requires-python"] == f">={named[0]}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_call_scripts_that_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    scripts = re.findall(r"bash (\S+)", text)
    assert scripts
    assert all((ROOT / script).is_file() for script in scripts), scripts
    assert "permissions:\n  contents: read" in text
    for job in yaml.safe_load(text)["jobs"].values():
        assert "uses" in job or job["timeout-minutes"] <= 60


def test_all_brings_what_a_user_may_want() -> None:
    (all_of_them,) = EXTRAS["all"]
    assert all_of_them.name == "mmad"
    assert set(EXTRAS) - {"all", "dev", "docs", "plots"} <= all_of_them.extras
    page = (ROOT / "docs/install.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in all_of_them.extras | {"all", "dev"})
    assert all_of_them.extras <= set(EXTRAS)


def test_hooks_are_programs_of_the_developers_environment() -> None:
    names = {canonicalize_name(one.name) for one in EXTRAS["dev"]} | {"python"}
    hooks = [
        hook for repo in content_of(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]
    ]
    assert {hook["entry"].split()[0] for hook in hooks} <= names


def test_constraints_are_exact_and_allowed() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    assert lines[1:] == sorted(lines[1:])
    versions = {canonicalize_name(pin.name): pin.specifier for pin in pins}
    assert len(versions) == len(pins)
    assert all(re.fullmatch(r"==[\w.]+", str(found)) for found in versions.values())
    wanted = [Requirement(text) for text in PROJECT["dependencies"]] + EXTRAS["dev"]
    for one in wanted:
        pin = versions.get(canonicalize_name(one.name))
        assert pin is not None, f"constraints.txt lacks {one.name}"
        assert str(pin).removeprefix("==") in one.specifier, one


def test_the_container_is_made_of_files_that_exist() -> None:
    ignore = (ROOT / "docker/Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    kept = [line.removeprefix("!") for line in ignore if line.startswith("!")]
    assert all((ROOT / name).exists() for name in kept)
    steps = (ROOT / "docker/Dockerfile").read_text(encoding="utf-8")
    python = re.search(r"ARG PYTHON=(\S+)", steps)
    assert python is not None
    assert f"Programming Language :: Python :: {python[1]}" in PROJECT["classifiers"]
    assert steps.index("\nUSER mmad\n") < steps.index("\nENTRYPOINT")
    assert all("--no-cache-dir" in line for line in re.findall(r"pip install .*", steps))
