"""Reads a file of partners into plain values. Numbers stay exact, and nothing in it is guessed."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

LIST_EXAMPLE = "a list of partners, each with a slug, name and settings"
PLAIN_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")


class UnreadableFile(Exception):
    """The file as a whole cannot be read. The text never quotes the file: it holds secrets."""


def read_partner_file(path: Path) -> list[Any]:
    """Return the list in the file. Raises UnreadableFile."""
    text = _text(path)
    content = _json(text, path) if path.suffix.lower() == ".json" else _yaml(text, path)
    if not isinstance(content, list):
        raise UnreadableFile(f"{path.name} must hold {LIST_EXAMPLE}")
    return content


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableFile(f"{path.name} is not UTF-8 text") from None
    except OSError as exc:
        raise UnreadableFile(f"{path} cannot be read: {exc.strerror}") from exc


def _json(text: str, path: Path) -> Any:
    try:
        return json.loads(
            text, parse_float=Decimal, parse_constant=Decimal, object_pairs_hook=_without_twins
        )
    except json.JSONDecodeError as exc:
        where = f"line {exc.lineno}, column {exc.colno}"
        raise UnreadableFile(f"{path.name} is not valid JSON at {where}: {exc.msg}") from None
    except (ValueError, ArithmeticError, RecursionError) as exc:
        raise UnreadableFile(f"{path.name}: {exc}") from None


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key '{key}' stands twice in one block")
        found[key] = value
    return found


def _yaml(text: str, path: Path) -> Any:
    try:
        return yaml.load(text, Loader=ExactLoader)  # noqa: S506 - ExactLoader is a SafeLoader
    except yaml.YAMLError as exc:
        raise UnreadableFile(f"{path.name} is not valid YAML{_where(exc)}") from None
    except (ValueError, ArithmeticError, RecursionError) as exc:
        raise UnreadableFile(f"{path.name}: {exc}") from None


def _where(exc: yaml.YAMLError) -> str:
    # The library's own text quotes the line, and the line may be a password.
    mark = getattr(exc, "problem_mark", None)
    if mark is None:
        return ""
    return (
        f" at line {mark.line + 1}, column {mark.column + 1}. "
        "A value with one of : # & * ! { [ needs quotes"
    )


class ExactLoader(yaml.SafeLoader):
    """YAML without its guesses: no floats, no octal (0712 is text), no dates, no key twice."""


def _mapping(loader: ExactLoader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(
                f"the key '{key}' stands twice in one block (line {node.start_mark.line + 1})"
            )
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


def _integer(loader: ExactLoader, node: yaml.ScalarNode) -> int | str:
    text = _as_text(loader, node)
    return int(text) if PLAIN_INTEGER.fullmatch(text) else text


def _number(loader: ExactLoader, node: yaml.ScalarNode) -> Decimal | str:
    text = _as_text(loader, node)
    if text.lower().lstrip("+-") in {".inf", ".nan"}:
        return Decimal(text.lower().replace(".", ""))
    try:
        return Decimal(text)
    except ArithmeticError:
        return text


def _as_text(loader: ExactLoader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


ExactLoader.add_constructor("tag:yaml.org,2002:map", _mapping)
ExactLoader.add_constructor("tag:yaml.org,2002:int", _integer)
ExactLoader.add_constructor("tag:yaml.org,2002:float", _number)
ExactLoader.add_constructor("tag:yaml.org,2002:timestamp", _as_text)
