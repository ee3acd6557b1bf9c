"""The kinds of fault. Each does its harm to a town once, at a moment of chance, and says whether it struck."""

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.faults.town import REGION, Town, kill, said_by

SELECT = "graph"  # a step with a JVM that publishes
LIGHT = "raw_files"  # a step that takes no time
MAKE = ("materialize", REGION, "--force", "--select")  # anew, though nothing has changed
Kind = Callable[[Town, random.Random], bool]
_LONGEST = 300.0


def wait_for(look: Callable[[], object], process: "subprocess.Popen[str]", seconds: float = _LONGEST) -> bool:
    """Whether something came to be while the command still ran."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        if look():
            return True
        time.sleep(0.01)
    return False


def struck(town: Town, chance: random.Random, victims: Callable[[Town], list[int]], select: str = SELECT) -> bool:
    """Start a command, and kill the victims at a moment of chance: any, or while a version is being published."""
    process = town.start(*MAKE, select)
    if chance.random() < 0.5 and select == SELECT:
        wait_for(lambda: any(town.home.glob("lake/graph/region=*/draft-*")), process)
        time.sleep(chance.choice([0, chance.uniform(0, 8)]))
    else:
        time.sleep(chance.uniform(0.3, 14.0 if select == SELECT else 7.0))
    found: list[int] = []

    def look() -> bool:
        found[:] = victims(town)
        return bool(found)

    hit = wait_for(look, process)
    kill(*found)
    process.wait(_LONGEST)
    return hit


def like(*words: str) -> Callable[[Town], list[int]]:
    """The processes whose command line has all of the words."""
    return lambda town: [pid for pid, line in town.processes().items() if all(word in line for word in words)]


def steps(town: Town) -> list[int]:
    """The processes of steps: started afresh, or by a fork server."""
    lines = town.processes()
    afresh = [pid for pid, line in lines.items() if "multiprocessing.spawn import spawn_main" in line]
    servers = {pid for pid, line in lines.items() if "multiprocessing.forkserver" in line}
    return afresh + [pid for pid in servers if parent_of(pid) in servers]


def parent_of(pid: int) -> int:
    """The parent of a process; 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def tree(town: Town, chance: random.Random) -> bool:
    """Every process of the command at once, as a machine's power would end them."""
    return struck(town, chance, lambda town: [pid for pid, line in town.processes().items() if "watching" not in line])


def worker(town: Town, chance: random.Random) -> bool:
    """The process that carries the run out."""
    return struck(town, chance, like("commands.run_job"))


def step(town: Town, chance: random.Random) -> bool:
    """The process of a step."""
    return struck(town, chance, steps)


def java(town: Town, chance: random.Random) -> bool:
    """Spark's JVM."""
    return struck(town, chance, like("java", "pyspark"))


def front(town: Town, chance: random.Random) -> bool:
    """The command that the user started and that waits for the run."""
    return struck(town, chance, like("mora_pipeline.cli materialize"))


def disk(town: Town, chance: random.Random) -> bool:
    """The disk is full from a moment of chance on, until the command has ended."""
    process = town.start(*MAKE, SELECT)
    time.sleep(chance.uniform(0.3, 12.0))
    filler = town.folder / "filler"
    with filler.open("wb") as stream:
        try:
            while process.poll() is None:
                stream.write(b"\0" * (1 << 20))
                stream.flush()
        except OSError:
            process.wait(_LONGEST)
    filler.unlink()
    said = said_by(process)
    if "Traceback" in said:
        raise AssertionError(f"a traceback of a full disk:\n{said[-3000:]}")
    return process.returncode != 0


def race(town: Town, chance: random.Random) -> bool:
    """Three commands at once: exactly one runs, and two are told who."""
    racers = [town.start(*MAKE, SELECT) for _ in range(3)]
    codes = sorted(racer.wait(_LONGEST) for racer in racers)
    told = [said_by(racer) for racer in racers if racer.returncode == 2]
    if codes != [0, 2, 2] or not all("is being made by" in words for words in told):
        raise AssertionError(f"in a race of three: codes {codes}\n{told}")
    return True


def new_home(town: Town, chance: random.Random) -> bool:
    """Three commands at once in a home that is not there yet."""
    home = town.folder / "new"
    shutil.rmtree(home, ignore_errors=True)
    racers = [town.start("region", "add", str(town.folder / "raw"), MORA_HOME=str(home)) for _ in range(3)]
    codes = [racer.wait(_LONGEST) for racer in racers]
    if codes != [0, 0, 0]:
        raise AssertionError(f"in a new home: codes {codes}\n{[said_by(racer)[-1500:] for racer in racers]}")
    return True


def clock(town: Town, chance: random.Random) -> bool:
    """The command runs by a clock that is a day late, and is killed or not."""
    process = town.start(*MAKE, LIGHT, before=("faketime", "-f", "-1d"))
    if chance.random() < 0.5:
        time.sleep(chance.uniform(0.5, 7.0))
        kill(*(pid for pid, line in town.processes().items() if "watching" not in line))
    process.wait(_LONGEST)
    return True


def daemon(town: Town, chance: random.Random) -> bool:
    """The daemon, and all that it started, while it carries a backfill out."""
    command = [sys.executable, "-W", "ignore", "-m", "dagster._daemon", "run", "-m", "mora_pipeline.definitions"]
    environment = {**town.environment, "DAGSTER_HOME": str(town.home / "dagster")}
    with (town.folder / "daemon.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, cwd=town.folder, stdout=log, stderr=log)
    asked = town.mora("backfill", REGION, "--select", LIGHT)
    if asked[0]:
        raise AssertionError(f"the backfill was refused: {asked[1]}")
    time.sleep(chance.uniform(5.0, 30.0))
    kill(*(pid for pid, line in town.processes().items() if "watching" not in line))
    process.wait(_LONGEST)
    return True


KINDS: dict[str, Kind] = {
    kind.__name__: kind for kind in (tree, worker, step, java, front, disk, race, new_home, clock, daemon)
}


def impossible(kind: str, on_small_disk: bool) -> str | None:
    """Why a kind of fault cannot be tried here; None if it can."""
    if kind == "disk" and not on_small_disk:
        return "only root can mount a small disk"
    if kind == "clock" and not shutil.which("faketime"):
        return "the program faketime is not installed"
    if not Path("/proc/self").is_dir():
        return "processes are found in /proc, which this system does not have"
    return None
