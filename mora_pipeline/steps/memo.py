"""What each step was made from, remembered so that it is not made again from the same.

It stands in ``lake/memo/region=<region>/<step>.json``: all facts that the result depends on (the code's own version,
libraries, settings, versions of datasets, parts of region.yaml, raw files by name, size and time of change). As long as
they are the same, and what the step published is whole and what readers see, there is nothing to do.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.files import replace_file
from mora_pipeline.contract.names import checked_region_name
from mora_pipeline.steps.facts import Facts, ReadsByRegion, Surroundings
from mora_pipeline.steps.results import Check, Markdown, Picture, StepResult

FORMAT = 1
_COSTS = frozenset({"seconds", "peak_memory_gib"})
_NAMED = 3  # changes that a reason names; it counts the others


@dataclass(frozen=True)
class Memo:
    """What a step was made from and what it published.

    Attributes:
        facts: all that the result depends on.
        reads: where to look for those facts that the step read.
        aside: as `facts`, of what matters by the `answer` alone that the step took from it; `reads_aside` as `reads`.
        outputs: version by dataset, of all that the step published, the main one last.
        made: when, ISO 8601 in UTC.
    """

    facts: Facts
    reads: ReadsByRegion
    aside: Facts
    reads_aside: ReadsByRegion
    answer: Any
    outputs: dict[str, str]
    data_version: str | None
    rows: int | None
    checks: list[dict[str, Any]]
    made: str
    format: int = FORMAT


@dataclass(frozen=True)
class Verdict:
    """Whether a step has something to do.

    Attributes:
        unchanged: whether it has not.
        reason: why, for people.
        memo: of the step.
        asks: nothing has changed but what the step takes one answer from; the step itself must say whether it holds.
    """

    unchanged: bool
    reason: str
    memo: Memo | None = None
    asks: bool = False


def verdict(step: str, region: str, now: Surroundings, own: Facts) -> Verdict:
    """Whether a step would make what it has made already.

    Args:
        own: from `own_facts`.
    """
    memo = read_memo(now.home, region, step)
    if memo is None:
        return Verdict(False, "not made yet, or nothing is remembered of how")
    if broken := _broken(memo, region, now):
        return Verdict(False, broken, memo)
    if changed := _changes(memo.facts, {**own, **now.facts_of(memo.reads)}, region):
        return Verdict(False, changed, memo)
    if changed := _changes(memo.aside, now.facts_of(memo.reads_aside), region):
        return Verdict(False, changed, memo, asks=True)
    return Verdict(True, f"Unchanged since {memo.made}", memo)


def _broken(memo: Memo, region: str, now: Surroundings) -> str | None:
    """Why what a step published is not what readers see, or is not whole; None if all is well."""
    for dataset, made in memo.outputs.items():
        try:
            current = now.lake.read(dataset, region)
        except UserError:
            return f"its {dataset} is gone or damaged"
        if current.version != made:
            return f"readers see another version of its {dataset} than it made last"
        if not current.is_whole():
            return f"files of its {dataset} are gone or of another size"
    return None


def _changes(before: Facts, now: Facts, region: str) -> str:
    """What has changed, for people; empty if nothing has."""
    names = dict.fromkeys([*before, *now])
    changed = [name.removeprefix(f"{region}: ") for name in names if before.get(name) != now.get(name)]
    more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
    return f"changed: {', '.join(changed[:_NAMED])}{more}" if changed else ""


def kept_result(memo: Memo, now: Surroundings, region: str, step: str, costs: Mapping[str, float]) -> StepResult:
    """The result of a step whose versions stay: what was shown of it is shown again, with the reason."""
    reason = f"Unchanged since {memo.made}: code, settings, inputs and raw files are the same."
    versions = [now.lake.read(dataset, region) for dataset in memo.outputs]
    shown = {"unchanged": reason, **read_shown(now.home, region, step), **costs}
    checks = [Check(**check) for check in memo.checks]
    return StepResult(versions, True, checks, shown, memo.data_version, memo.rows, unchanged=reason)


def read_memo(home: Path, region: str, step: str) -> Memo | None:
    """What is remembered of a step; None if nothing is, or other software wrote it."""
    try:
        content = json.loads(_file(home, region, step).read_text(encoding="utf-8"))
        return Memo(**content) if content.get("format") == FORMAT else None
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def write_memo(home: Path, region: str, step: str, memo: Memo) -> None:
    """Remember what a step was made from."""
    _write(_file(home, region, step), asdict(memo))


def write_shown(home: Path, region: str, step: str, metadata: Mapping[str, Any]) -> None:
    """Remember what people were shown of a step, so that they see it where nothing is made anew."""
    shown = {name: _packed(value) for name, value in metadata.items() if name not in _COSTS}
    _write(_file(home, region, step).with_suffix(".shown"), shown)


def read_shown(home: Path, region: str, step: str) -> dict[str, Any]:
    """What people were shown of a step; empty if that is not remembered."""
    try:
        shown = json.loads(_file(home, region, step).with_suffix(".shown").read_text(encoding="utf-8"))
        return {name: _unpacked(value) for name, value in shown.items()}
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return {}


def _write(file: Path, content: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_file(file, json.dumps(content, indent=1, default=str))


def _packed(value: Any) -> dict[str, Any]:
    if isinstance(value, Markdown):
        return {"markdown": value.text}
    if isinstance(value, Picture):
        return {"picture": base64.b64encode(value.png).decode(), "title": value.title}
    return {"path": str(value)} if isinstance(value, Path) else {"value": value}


def _unpacked(value: Mapping[str, Any]) -> Any:
    if "markdown" in value:
        return Markdown(value["markdown"])
    if "picture" in value:
        return Picture(base64.b64decode(value["picture"]), value["title"])
    return Path(value["path"]) if "path" in value else value["value"]


def _file(home: Path, region: str, step: str) -> Path:
    return home / "lake" / "memo" / f"region={checked_region_name(region)}" / f"{step}.json"
