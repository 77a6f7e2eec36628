"""Damaged and hostile files given to every reader: each is accepted, or refused with one message.

The files are the same in every run; ``tools/fuzz.py`` does the same for as long as one likes.
"""

import json
import random
from contextlib import suppress
from pathlib import Path

import pytest
from fuzz import ACCEPTED, CLEAN, Inputs
from fuzz_mutations import mutated
from fuzz_readers import READERS, Reader
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmad.errors import MmadError
from mmad.names import problem_of_id, safe_name
from mmad.parsing import json_value, yaml_value

pytestmark = [pytest.mark.slow, pytest.mark.long]

FAST = [reader for reader in READERS if not reader.is_slow]
REPEATABLE = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def _name(reader: Reader) -> str:
    return reader.name


@pytest.mark.parametrize("reader", READERS, ids=_name)
def test_the_valid_files_are_accepted(reader: Reader, tmp_path: Path) -> None:
    inputs = Inputs(reader, tmp_path / "files", seed=0)
    assert inputs.read(inputs.path.read_bytes()) == (ACCEPTED, "")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Duplicate name", "ignore:Detected pickle")
@pytest.mark.parametrize("reader", FAST, ids=_name)
def test_damaged_files_are_accepted_or_refused(reader: Reader, tmp_path: Path) -> None:
    inputs = Inputs(reader, tmp_path / "files", seed=0)

    @settings(REPEATABLE, max_examples=200)
    @given(st.integers(0, 2**32) | st.binary(max_size=64))
    def holds(chosen: int | bytes) -> None:
        found, message = inputs.read(inputs.content(chosen) if isinstance(chosen, int) else chosen)
        assert found in (CLEAN, ACCEPTED), message

    holds()


@pytest.mark.slow
@pytest.mark.parametrize("reader", [r for r in READERS if r.is_slow], ids=_name)
def test_damaged_videos_are_accepted_or_refused(reader: Reader, tmp_path: Path) -> None:
    inputs = Inputs(reader, tmp_path / "files", seed=0)
    for number in range(25):
        found, message = inputs.read(inputs.content(number))
        assert found in (CLEAN, ACCEPTED), message


@pytest.mark.parametrize("reader", [r for r in FAST if r.file.endswith(".json")], ids=_name)
def test_any_json_is_accepted_or_refused(reader: Reader, tmp_path: Path) -> None:
    inputs = Inputs(reader, tmp_path / "files", seed=0)

    @settings(REPEATABLE, max_examples=50)
    @given(JSON)
    def holds(value: object) -> None:
        found, message = inputs.read(json.dumps(value).encode("utf-8", "replace"))
        assert found in (CLEAN, ACCEPTED), message

    holds()


@REPEATABLE
@given(st.text(max_size=300), st.text(max_size=300))
def test_names_of_files_differ_where_ids_do(first: str, second: str) -> None:
    names = safe_name(first), safe_name(second)
    assert (names[0] == names[1]) == (first == second)
    for name in names:
        assert Path(name).name == name
        assert len(name.encode("utf-8", "replace")) <= 200
        assert problem_of_id(name) is None


@REPEATABLE
@given(st.text())
def test_any_text_is_a_value_or_an_error(text: str) -> None:
    for read in (json_value, yaml_value):
        with suppress(MmadError):
            read("f", text, error=MmadError)


def test_the_same_seed_gives_the_same_files() -> None:
    content = b'{"a": [1, 2, {"b": "c"}]}'
    first, second = (
        [mutated(random.Random(n), "x.json", content, other=b"y") for n in range(50)]
        for _ in range(2)
    )
    assert first == second
    assert len(set(first)) > 30
