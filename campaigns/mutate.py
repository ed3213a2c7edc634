"""Spoils real-shaped JSON in the ways that peers, proxies and strangers do."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

ODD_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2**31,
        2**63,
        10**40,
        0.1,
        -0.0,
        1e300,
        "",
        " ",
        "0",
        "00",
        "-1",
    ),
    *(
        "null",
        "NaN",
        "1e309",
        "0.00",
        "１２",
        "\u0000",
        "\u202e",
        "'; DROP TABLE x;--",
        "<b>",
        "A" * 5000,
    ),
    *([], {}, [[]], {"Key": "x"}, [None], "2026-13-40", [2026, 2, 30], "é" * 300, "254712345678"),
)
Place = tuple[Any, Any]  # (container, key or index)


def mutated(document: Any, chance: random.Random) -> bytes:
    """Return `document` as bytes with one to three things wrong; now and then with none."""
    spoiled = _copy(document)
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
        spoiled = _spoil_tree(spoiled, chance)
    body = json.dumps(spoiled, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    return chance.choice(BYTES)(body, chance) if chance.random() < 0.35 else body


def _copy(node: Any) -> Any:
    """Return a copy of JSON values; one level costs a single frame, so deep ones can be copied."""
    match node:
        case dict():
            return dict(zip(node, map(_copy, node.values()), strict=True))
        case list():
            return list(map(_copy, node))
    return node


def _places(node: Any) -> list[Place]:
    keys = (
        list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    )
    found: list[Place] = [(node, key) for key in keys]
    for key in keys:
        found += _places(node[key])
    return found


def _spoil_tree(document: Any, chance: random.Random) -> Any:
    places = _places(document)
    if not places:
        return chance.choice(ODD_VALUES)
    node, key = chance.choice(places)
    return chance.choice(TREES)(document, node, key, chance)


def _replace(document: Any, node: Any, key: Any, chance: random.Random) -> Any:
    node[key] = _copy(chance.choice(ODD_VALUES))
    return document


def _remove(document: Any, node: Any, key: Any, chance: random.Random) -> Any:
    del node[key]
    return document


def _retype(document: Any, node: Any, key: Any, chance: random.Random) -> Any:
    value = node[key]
    as_text = value if isinstance(value, str) else json.dumps(value)
    node[key] = chance.choice((as_text, [value], {"value": value}, f" {as_text} ", as_text.upper()))
    return document


def _rename(document: Any, node: Any, key: Any, chance: random.Random) -> Any:
    if isinstance(node, dict):
        value = node.pop(key)
        node[chance.choice((key.lower(), key.upper(), f" {key}", key + "s", key[:-1], ""))] = value
    return document


def _repeat(document: Any, node: Any, key: Any, chance: random.Random) -> Any:
    if isinstance(node, list):
        node.extend([_copy(node[key])] * chance.choice((1, 2, 50)))
    return document


def _swap(document: Any, node: Any, key: Any, chance: random.Random) -> Any:
    other, place = chance.choice(_places(document))
    node[key], other[place] = _copy(other[place]), _copy(node[key])
    return document


def _bury(document: Any, node: Any, key: Any, chance: random.Random) -> Any:
    for _ in range(chance.choice((3, 70, 300))):
        node[key] = [node[key]] if chance.random() < 0.5 else {"a": node[key]}
    return document


def _truncate(body: bytes, chance: random.Random) -> bytes:
    return body[: chance.randrange(len(body) + 1)]


def _flip(body: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(max(len(body), 1))
    return body[:place] + bytes([chance.randrange(256)]) + body[place + 1 :]


def _garble(body: bytes, chance: random.Random) -> bytes:
    noise = bytes(chance.randrange(256) for _ in range(chance.choice((1, 8, 200))))
    return chance.choice((noise + body, body + noise, noise, b""))


def _twice(body: bytes, chance: random.Random) -> bytes:
    place = body.find(b'"')
    end = body.find(b":", place)
    return body[:place] + body[place:end] + b": null, " + body[place:] if place >= 0 < end else body


def _dress(body: bytes, chance: random.Random) -> bytes:
    dressed = (
        b"\xef\xbb\xbf" + body,
        body.decode("utf-8", "replace").encode("utf-16"),
        b"<html>" + body,
        body + body,
        b"[" * 5000,
        b'{"a":' * 3000 + b"1",
    )
    return chance.choice(dressed)


def _not_a_number(body: bytes, chance: random.Random) -> bytes:
    digits = [place for place, sign in enumerate(body) if 48 <= sign <= 57]
    if not digits:
        return b"NaN"
    place = chance.choice(digits)
    return (
        body[:place]
        + chance.choice((b"NaN", b"Infinity", b"1e999999999", b"0x1"))
        + body[place + 1 :]
    )


TREES: tuple[Callable[[Any, Any, Any, random.Random], Any], ...] = (
    *(_replace, _replace, _replace, _remove, _retype, _rename, _repeat, _swap, _bury),
)
BYTES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(_truncate, _flip, _garble, _twice, _dress, _not_a_number),
)
