"""Mutated region.yaml files: each must be taken, or refused by one clear message, in a few seconds.

``python -m tests.region.mutations 3000`` tries so many and prints one JSON line: how many were taken, refused, and
which ended in another way. A test tries a sample.
"""

import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mora_pipeline.contract.errors import UserError
from mora_pipeline.region import RegionConfig
from mora_pipeline.region.understanding import understand

SECONDS = 20.0  # that one may take; most take a tenth of a second
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 15, 16, 1.5, -0.0, 10**30, 2**63, 1e308, float("nan"), float("inf"), "", " ", "\0",
    "\ud800", "a\nb", "\x1b[2J", "x" * 300, "x" * 5000, "/", "/proc", "/dev/zero", "/dev/stdin", "/sys/**", "..",
    "../" * 40, "**/**/**/**", "/proc/*/mem", "[", "[!]", "{", "{}", "{0}", "%", "%s", "%Q", "(", "lat +", "1 / 0",
    "lat lat", "'", '"', "\\", "$(id)", "s3://bucket/x", "file:///etc/passwd", "~", "~root", "~nobody/x", "nul", "é",
    "\u202e", "latitude", "pois.csv", "places.parquet", "region.yaml", "2024-01-01", "UTC", "../../etc/passwd",
    [], [[]], {}, {"a": {}}, [None], ["x"] * 50, {"null": 1}, {"kind": "od"}, {"kind": "text"}, {"path": None},
    {"path": "/proc", "columns": {}}, {"level": "cell"}, yaml.safe_load("2024-01-01"), b"\xff", {1: 2}, {"x": {1, 2}},
]  # fmt: skip


@dataclass
class Outcome:
    """How mutated files ended: taken, refused by a message, or otherwise (which none should)."""

    taken: int = 0
    refused: int = 0
    others: list[str] = field(default_factory=list)
    slowest: float = 0.0


def mutated(content: dict[str, Any], chance: random.Random) -> bytes:
    """A region.yaml with one to three changes of its values, keys, or bytes."""
    content = deepcopy(content)
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        _change(content, chance)
    try:
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode("utf-8", "surrogatepass")
    except yaml.YAMLError:
        text = yaml.dump(content).encode("utf-8", "surrogatepass")
    return _spoilt(text, chance) if chance.random() < 0.3 else text


def _change(content: dict[str, Any], chance: random.Random) -> None:
    part, key = chance.choice(list(_places(content)))
    way = chance.randrange(6)
    if way == 0 and isinstance(part, dict):
        del part[key]
    elif way == 1 and isinstance(part, dict):
        part[chance.choice([str(key).upper(), f"{key}s", str(key)[:-1], "", "null", "é", "x" * 3000])] = part.pop(key)
    elif way == 2:
        _, other = chance.choice(list(_places(content)))
        if isinstance(part, dict):
            part[other] = deepcopy(part[key])
    elif way == 3 and isinstance(part[key], str):
        letters = list(part[key])
        letters.insert(chance.randint(0, len(letters)), chance.choice("*?[]{}()/'\"\\\0\n.,:;%$ é+-<>=~"))
        part[key] = "".join(letters)
    else:
        part[key] = deepcopy(chance.choice(VALUES))


def _places(part: Any) -> Iterator[tuple[Any, Any]]:
    """Every key of every mapping, and every place of every list."""
    for key in list(part) if isinstance(part, dict) else range(len(part)):
        yield part, key
        if isinstance(part[key], dict | list):
            yield from _places(part[key])


def _spoilt(text: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(text))
    added = [b"\t", b"\n", b": ", b"- ", b"&a ", b"*a ", b"!!python/name:os.system ", b"#", b"\0"]
    return chance.choice(
        [
            text[:at],
            text[:at] + bytes([chance.randrange(256)]) + text[at + 1 :],
            text[:at] + chance.choice(added) + text[at:],
            text + text,
            LAUGHS.encode() + text,
            text + b"\nx: " + b"[" * 2000,
            text + b"\nx: " + b"9" * 6000,
            text + b"\nx: &x [*x]\n",
            text.replace(b"\n", b"\r"),
            text.decode("utf-8", "replace").encode("utf-16"),
        ]
    )


def attempt(folder: Path, content: bytes, outcome: Outcome) -> None:
    """Look at a region as ``mora region add`` does."""
    path, start = folder / "region.yaml", time.monotonic()
    path.write_bytes(content)
    try:
        understand(RegionConfig.load(path))
        outcome.taken += 1
    except UserError as error:
        outcome.refused += 1
        if not str(error).isprintable() and not str(error).replace("\n", "").isprintable():
            outcome.others.append(f"a message that cannot be printed: {ascii(str(error))[:300]} of {content[:2000]!r}")
        if len(str(error)) > 4000:
            outcome.others.append(f"a message of {len(str(error))} characters: {str(error)[:300]}")
    except Exception as error:  # noqa: BLE001 - what must never be
        outcome.others.append(f"{type(error).__name__}: {ascii(str(error))[:300]} of {content!r}")
    took = time.monotonic() - start
    outcome.slowest = max(outcome.slowest, took)
    if took > SECONDS:
        outcome.others.append(f"{took:.0f} seconds of {content!r}")


def tried(folder: Path, contents: list[dict[str, Any]], number: int, seed: int = 0) -> Outcome:
    """Try mutations of region.yaml files whose data lies in `folder`."""
    chance, outcome = random.Random(seed), Outcome()
    for _ in range(number):
        attempt(folder, mutated(chance.choice(contents), chance), outcome)
    return outcome


def main(number: int) -> int:
    from tests.region.regions import REGIONS, write_right_files

    with tempfile.TemporaryDirectory() as name:
        write_right_files(Path(name))
        outcome = tried(Path(name), REGIONS, number)
    sys.stderr.writelines(f"{other}\n" for other in outcome.others)
    figures: dict[str, float] = {"taken": outcome.taken, "refused": outcome.refused, "others": len(outcome.others)}
    figures = {"mutated": number, **figures, "slowest_seconds": round(outcome.slowest, 2)}
    sys.stdout.write(f"{json.dumps(figures)}\n")
    return 1 if outcome.others else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3000))
