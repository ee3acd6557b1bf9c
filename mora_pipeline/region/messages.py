"""Turns what pydantic complains about into sentences: which file, which key, what is there, what to do."""

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mora_pipeline.contract.names import did_you_mean

NAME_RULE = "Use a lower-case letter, then lower-case letters, digits and underscores, 63 at most."
_TAGS = {"od", "trips", "events", "cell", "group", "point"}
_KINDS = {dict: "a mapping", list: "a list", str: "text", int: "a whole number", float: "a number", bool: "true/false"}
_WANTED = {
    "string_type": "it must be text",
    "int_type": "it must be a whole number",
    "float_type": "it must be a number",
    "bool_type": "it must be true or false",
    "model_type": "it must be a mapping of keys to values",
    "model_attributes_type": "it must be a mapping of keys to values",
    "dict_type": "it must be a mapping of keys to values",
    "string_too_short": "it must not be empty",
    "too_short": "it must have at least one entry",
}


def shown(value: object) -> str:
    """A value as a message shows it: quoted if text, by its kind if long."""
    if value is None:
        return "empty"
    if isinstance(value, dict | list):
        return _KINDS[type(value)]
    return f"'{value}'" if isinstance(value, str) else f"{value} ({_KINDS.get(type(value), type(value).__name__)})"


def sentences(file: str, error: ValidationError) -> str:
    """Every mistake pydantic found, one a line."""
    return "\n".join(dict.fromkeys(f"{file}: {_sentence(item)}" for item in error.errors()))


def _sentence(item: ErrorDetails) -> str:
    context: dict[str, Any] = item.get("ctx", {})
    kind, value, path = item["type"], item["input"], _path(item["loc"])
    if kind == "region":
        return f"{path} {context['message']}".strip()
    if kind == "unknown_key":
        near = did_you_mean(str(context["key"]), context["known"])
        known = ", ".join(context["known"])
        return f"Unknown key {_join(path, context['key'])}; {path or 'a region'} takes {known}.{near}"
    if kind == "absent_key":
        return f"{_join(path, context['key'])} is missing. Add it: {context['what']}."
    if kind == "string_pattern_mismatch":
        return f"{path} is not a valid name. {NAME_RULE}"
    if kind == "union_tag_not_found":
        key = context["discriminator"].strip("'")
        choices = {"level": "cell, group or point", "kind": "od, trips or events"}[key]
        if not isinstance(value, dict):
            return f"{path} is {shown(value)}; it must be a mapping of keys to values, with {key}: {choices}."
        return f"{path}.{key} is missing. Add it: {choices}."
    if kind == "union_tag_invalid":
        key, expected = context["discriminator"].strip("'"), context["expected_tags"].replace("'", "")
        near = did_you_mean(context["tag"], expected.split(", "))
        return f"{path}.{key} is '{context['tag']}'; it must be one of {expected}.{near}"
    if kind == "literal_error":
        expected = context["expected"].replace("'", "")
        return f"{path} is {shown(value)}; it must be {expected}.{did_you_mean(str(value), expected.split(' or '))}"
    if kind in {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}:
        sign = {"greater_than": ">", "greater_than_equal": "≥", "less_than": "<", "less_than_equal": "≤"}[kind]
        return f"{path} is {value}; it must be {sign} {context[next(iter(context))]:g}."
    quote = f" Write it in quotes: '{value}'." if kind == "string_type" and isinstance(value, int | float) else ""
    return f"{path} is {shown(value)}; {_WANTED.get(kind, item['msg'])}.{quote}"


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def _path(loc: tuple[int | str, ...]) -> str:
    """`mobility.columns.flow`: the location without the tags that pydantic puts in for the kind."""
    parts = [str(part) for part in loc]
    tag = {"mobility": 1, "tasks": 2}.get(parts[0], 0) if parts else 0
    if 0 < tag < len(parts) and parts[tag] in _TAGS:
        del parts[tag]
    return ".".join(part for part in parts if part != "[key]")
