"""Which code and libraries judged."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

LIBRARIES = ("lightgbm", "scikit-learn", "numpy", "scipy", "torch")


def provenance() -> dict[str, Any]:
    """Version, commit (of a checkout; with a star where it was changed) and libraries, by label."""
    return {
        "mora-pipeline": _version("mora-pipeline"),
        "commit": _commit(),
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    checkout = Path(__file__).resolve().parents[3]
    if not (checkout / ".git").exists():
        return "not a checkout"
    try:
        name, changed = (
            subprocess.run(
                ["git", "-C", str(checkout), *command], capture_output=True, text=True, check=True, timeout=30
            )
            for command in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return name.stdout.strip() + ("*" if changed.stdout.strip() else "")
