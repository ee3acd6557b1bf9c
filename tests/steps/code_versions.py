"""What each step's code is: a digest of every module that it reaches by imports, and the step's code version.

``python -m tests.steps.code_versions`` tells whose code has changed since it was recorded while its code version has
not; ``... record`` records it as it is now, after the versions of what gives other results were raised.
"""

import ast
import hashlib
import json
import sys
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

from mora_pipeline.modalities import kinds
from mora_pipeline.presets.registry import presets
from mora_pipeline.steps import all_steps
from mora_pipeline.steps.interface import Step

PROJECT = Path(__file__).resolve().parents[2]
RECORD = Path(__file__).with_name("code_versions.json")
PACKAGES = ("mora_pipeline", "spark_jobs")
# They carry what steps compute, show it, or run it; no number changes by them.
PLUMBING = (
    *("mora_pipeline.lake", "mora_pipeline.tracking", "mora_pipeline.plots", "mora_pipeline.serving"),
    *("mora_pipeline.contract.errors", "mora_pipeline.contract.files", "mora_pipeline.contract.names"),
    *("mora_pipeline.contract.plugins", "mora_pipeline.region.messages", "mora_pipeline.region.named_files"),
    *("mora_pipeline.steps.interface", "mora_pipeline.steps.memo", "mora_pipeline.steps.memoised"),
    *("mora_pipeline.steps.facts", "mora_pipeline.steps.meter", "mora_pipeline.steps.results"),
    *("mora_pipeline.steps.spark", "mora_pipeline.steps.progress", "mora_pipeline.steps.tables"),
    *("mora_pipeline.evaluation.report", "spark_jobs.java", "spark_jobs.report", "spark_jobs.classes"),
)


def changed(recorded: dict[str, Any]) -> dict[str, list[str]]:
    """The modules that have changed since `recorded`, by the step that reaches them and has its code version still."""
    before, found = recorded["modules"], dict[str, list[str]]()
    for step in versioned():
        if recorded["steps"].get(step.name) == step.code_version:
            modules = [name for name in sorted(reached(step)) if before.get(name) != digest(name)]
            found |= {step.name: modules} if modules else {}
    return found


def record() -> dict[str, Any]:
    """The code as it is now."""
    steps = versioned()
    modules = sorted(set().union(*(reached(step) for step in steps)))
    return {
        "steps": {step.name: step.code_version for step in steps},
        "modules": {name: digest(name) for name in modules},
    }


def versioned() -> list[Step]:
    """The steps whose results are remembered."""
    return [step for step in all_steps() if step.code_version is not None]


def reached(step: Step) -> frozenset[str]:
    """The modules that a step works with, less `PLUMBING`."""
    work: Any = step.run
    roots = {work.func.__module__ if isinstance(work, partial) else work.__module__}
    plugins = [work.keywords["kind"]] if isinstance(work, partial) else []
    if "=" in str(step.code_version) and not plugins:
        plugins = [*kinds(), *(presets().values() if "mora=" in str(step.code_version) else ())]
    for plugin in plugins:
        roots |= {type(plugin).__module__, *([plugin.job] if getattr(plugin, "job", None) else [])}
    found, waiting = set[str](), sorted(roots)
    while waiting:
        module = waiting.pop()
        if module not in found and not any(module == name or module.startswith(f"{name}.") for name in PLUMBING):
            found.add(module)
            waiting += imports(module)
    return frozenset(found)


@cache
def imports(module: str) -> tuple[str, ...]:
    """The modules of this project that a module imports anywhere, and the Spark jobs that it names."""
    found: set[str] = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            found.add(f"spark_jobs.{node.value}")
    return tuple(sorted(name for name in found if name.split(".")[0] in PACKAGES and file_of(name)))


@cache
def digest(module: str) -> str:
    """Of a module's code, less its comments and docstrings."""
    code = tree(module)
    for node in ast.walk(code):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [item for item in node.body if not is_text(item)] or [ast.Pass()]
    return hashlib.sha256(ast.dump(code).encode()).hexdigest()[:16]


def is_text(node: ast.stmt) -> bool:
    """Whether a statement is nothing but a text, as a docstring is."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def tree(module: str) -> ast.Module:
    """A module's code."""
    file = file_of(module)
    return ast.parse(file.read_text(encoding="utf-8") if file else "")


def file_of(module: str) -> Path | None:
    """The file of a module of this project; None if there is none."""
    path = PROJECT.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def read() -> dict[str, Any]:
    """What is recorded."""
    return dict(json.loads(RECORD.read_text(encoding="utf-8")))


def advice(found: dict[str, list[str]]) -> str:
    """What has changed, and what to do about it."""
    by_modules: dict[tuple[str, ...], list[str]] = {}
    for step, modules in found.items():
        by_modules.setdefault(tuple(modules), []).append(step)
    lines = [f"{', '.join(steps)}: {', '.join(modules)}" for modules, steps in by_modules.items()]
    return "\n".join(
        [
            "The code of these steps has changed, and their code versions have not:",
            *lines,
            "If it gives other results for the same inputs, raise code_version of the step, of the kind of modality or "
            "of the preset, so that regions are made anew. Then, or if it does not: "
            "python -m tests.steps.code_versions record",
        ]
    )


def iterate(arguments: list[str]) -> Iterator[str]:
    """What the command says."""
    if arguments == ["record"]:
        RECORD.write_text(json.dumps(record(), indent=1) + "\n", encoding="utf-8")
        yield f"Recorded in {RECORD.relative_to(PROJECT)}."
    elif found := changed(read()):
        yield advice(found)
    else:
        yield "No step's code has changed under its code version."


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in iterate(sys.argv[1:]))
