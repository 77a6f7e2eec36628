"""Base of all settings: unknown keys are errors, and values are immutable."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from mmad.errors import MmadError

# Larger values are mistakes or attacks, and would overflow computations.
LARGEST = 2**53
PositiveRate = Annotated[float, Field(gt=0, le=1e5, allow_inf_nan=False)]
PositiveSeconds = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
PositiveFrames = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
FirstFrame = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
PositiveCount = Annotated[int, Field(ge=1, le=LARGEST)]
Count = Annotated[int, Field(ge=0, le=LARGEST)]

_Value = TypeVar("_Value")


def named(default: str) -> Callable[[Any], str]:
    """A discriminator of a union of settings by ``name``, with ``default`` if none is given."""

    def name_of(value: Any) -> str:
        if isinstance(value, Mapping):
            return str(value.get("name", default))
        return str(getattr(value, "name", default))

    return name_of


def members(union: Any) -> dict[str, type[Any]]:
    """The classes of a union of settings by the ``name`` of each."""
    classes = [get_args(member)[0] for member in get_args(get_args(union)[0])]
    return {one.model_fields["name"].default: one for one in classes}


class Settings(BaseModel):
    """Base of every group of settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def problems(self) -> Iterator[str]:
        """Problems of the settings of this group, alone or together."""
        for name, value in self:
            if isinstance(value, int | float) and abs(value) > LARGEST:
                yield f"{name}: expected at most {LARGEST} in size"

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if problems := list(self.problems()):
            raise ValueError("\n".join(problems))
        return self


_Settings = TypeVar("_Settings", bound=Settings)


def changed(settings: _Settings, **update: Any) -> _Settings:
    """The settings with updated values, which are not validated."""
    return settings.model_copy(update=update)


def validated(
    adapter: TypeAdapter[_Value], content: Any, *, source: str | Path, error: type[MmadError]
) -> _Value:
    """``content`` of a file, validated as the type of ``adapter``.

    Raises: ``error`` that names the place in ``source``, what was expected and what was found.
    """
    try:
        return adapter.validate_python(content)
    except ValidationError as cause:
        first = cause.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        raise error(
            f"{source}: {f'{place}: ' if place else ''}{message[0].lower()}{message[1:]}; "
            f"found {first['input']!r:.60}"
        ) from None
