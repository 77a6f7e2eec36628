"""Validation errors of pydantic as readable messages."""

import difflib
import re
import types
import typing
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel


def explain(item: Any, root: type[BaseModel]) -> str:
    """The message for one validation error of pydantic."""
    *parents, last = item["loc"] or ("config",)
    if item["type"] == "extra_forbidden":
        keys, models = follow(parents, root)
        known = sorted({name for model in models for name in model.model_fields})
        near = difflib.get_close_matches(last, known, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
        return f"{'.'.join([*keys, last])}: there is no such setting; {hint}"
    key = ".".join(follow(item["loc"], root)[0]) or "config"
    if item["type"] == "missing":
        *parents, last = item["loc"]
        _, models = follow(parents, root)
        told = next(
            (m.model_fields[last].description for m in models if last in m.model_fields), ""
        )
        return f"{key}: this setting is missing" + (f" ({told})" if told else "")
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "union_tag_invalid":
        return f"{key}: {_no_such(item['ctx']['tag'], item['ctx']['expected_tags'])}"
    if item["type"] == "literal_error" and item["loc"][-1] == "name":
        return f"{key}: {_no_such(str(item['input']), item['ctx']['expected'])}"
    if item["type"] == "model_type":
        return f"{key}: expected a group of settings; found {item['input']!r:.60}"
    if item["type"] == "value_error":
        prefix = f"{key}: " if item["loc"] else ""
        return "\n".join(prefix + line for line in message.splitlines())
    return f"{key}: {message[0].lower()}{message[1:]}; found {item['input']!r:.60}"


def _no_such(name: str, known: str) -> str:
    """That there is no ``name``, the nearest of the quoted names in ``known``, and all of them."""
    near = difflib.get_close_matches(name, re.findall(r"'([^']*)'", known), n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"there is no '{name}'; {hint}known: {known}"


def follow(
    location: Sequence[str | int], root: type[BaseModel]
) -> tuple[list[str], list[type[BaseModel]]]:
    """The keys that lead to a place of the config, and the models that are allowed there.

    Pydantic's locations also name the members of unions that it tried, which are not keys.
    """
    keys: list[str] = []
    models: list[type[BaseModel]] = [root]
    for part in location:
        annotations = [m.model_fields[part].annotation for m in models if part in m.model_fields]
        if annotations:
            models = [inner for one in annotations for inner in _models_in(one)]
        elif isinstance(part, str):
            models = [model for model in models if _tag(model) == part] or models
            continue
        keys.append(str(part))
    return keys, models


def _tag(model: type[BaseModel]) -> object:
    if "name" in model.model_fields:
        return model.model_fields["name"].default
    return None


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated, list):
        return [m for arg in typing.get_args(annotation) for m in _models_in(arg)]
    return []
