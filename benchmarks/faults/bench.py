"""One fault after another on one town, and the look at it after each."""

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.faults.kinds import KINDS, LIGHT, SELECT, impossible
from benchmarks.faults.town import REGION, Town, small_disk
from benchmarks.measure import ROOT

MEGABYTES = 400  # of the small disk
_SECONDS_TO_SETTLE = 3.0


@dataclass
class Result:
    """What all faults together left."""

    kills: int = 0
    readers_bad: int = 0
    manual_cleanups: int = 0
    slots_left: int = 0
    orphans: int = 0
    temporary_left: int = 0

    @property
    def clean(self) -> bool:
        """True if nothing at all was left."""
        return not any(value for name, value in asdict(self).items() if name != "kills")


@dataclass
class Bench:
    """Faults of chosen kinds, in turn.

    Attributes:
        say: told of each fault and of what was wrong after it.
        table: by kind, how often it struck, and how long the next command took.
    """

    kinds: Sequence[str]
    seed: int
    say: Callable[[str], None]
    result: Result = field(default_factory=Result)
    table: dict[str, list[float]] = field(default_factory=dict)

    def run(self, kills: int) -> Result:
        """Do so many faults.

        Raises:
            RuntimeError: if the town cannot be made in the first place.
        """
        with ExitStack() as stack:
            disk = stack.enter_context(small_disk(MEGABYTES)) if "disk" in self.kinds else None
            folder = disk or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mf-")))
            town = Town(folder)
            why = {kind: impossible(kind, disk is not None) for kind in self.kinds}
            for kind, reason in why.items():
                if reason:
                    self.say(f"{kind}: left out, {reason}")
            able = [kind for kind in self.kinds if not why[kind]]
            prepare(town, able)
            watcher = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.faults.watching", str(town.home)],
                env=town.environment, cwd=ROOT, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            try:
                self._faults(town, able, kills, watcher.pid)
            finally:
                watcher.send_signal(signal.SIGTERM)
                told = json.loads(watcher.communicate(timeout=60)[0])
            self.say(f"{told['reads']:,} reads of whole datasets meanwhile, {len(told['bad'])} of them bad")
            for words in told["bad"][:5]:
                self.say(words)
            self.result.readers_bad = len(told["bad"])
        return self.result

    def _faults(self, town: Town, kinds: Sequence[str], kills: int, watcher: int) -> None:
        chance, tries = random.Random(self.seed), Counter[str]()
        while self.result.kills < kills and sum(tries.values()) < 3 * kills:
            kind = min(kinds, key=lambda name: tries[name] / WEIGHTS.get(name, 1.0))
            tries[kind] += 1
            try:
                struck = KINDS[kind](town, chance)
            except AssertionError as error:
                struck = True
                self.result.manual_cleanups += 1
                self.say(f"{kind}: {error}")
            if struck:
                self.result.kills += 1
                self._look(town, kind, watcher)
            else:
                self.say(f"{kind}: too late, the command had ended")

    def _look(self, town: Town, kind: str, watcher: int) -> None:
        """The next command succeeds by itself, and afterwards nothing is left."""
        begun = time.monotonic()
        again = ["--force"] * (
            self.result.kills % 2
        )  # every other time it finds what it asks for, or goes on from there
        code, said = town.mora("materialize", REGION, *again, "--select", LIGHT if kind in OF_LIGHT else SELECT)
        seconds = time.monotonic() - begun
        self.table.setdefault(kind, []).append(seconds)
        left, deadline = {"": ""}, time.monotonic() + _SECONDS_TO_SETTLE
        while left and time.monotonic() < deadline:
            left = {str(pid): line for pid, line in town.processes().items() if pid != watcher}
            time.sleep(0.1)
        files, slots = town.temporary_files(), town.slots()
        self.say(f"{self.result.kills:>4} {kind}: the next command took {seconds:.1f} s, code {code}")
        for wrong in (
            ([said[-1500:]] if code else []) + list(left.values()) + files + ([f"{slots} slots"] * bool(slots))
        ):
            self.say(f"     left: {wrong}")
        self.result.manual_cleanups += code != 0
        self.result.orphans += len(left)
        self.result.temporary_left += len(files)
        self.result.slots_left += slots
        for pid in left:  # so that each is counted once
            subprocess.run(["kill", "-9", pid], check=False)
        for file in files:
            subprocess.run(["rm", "-rf", file], check=False)


WEIGHTS = {"tree": 4.0, "worker": 3.0, "step": 3.0, "java": 3.0, "front": 3.0, "disk": 2.0, "daemon": 0.5, "clock": 1.0}
OF_LIGHT = ("race", "new_home", "clock", "daemon")  # nothing of the graph is killed


def prepare(town: Town, kinds: Sequence[str]) -> None:
    """The region is known and has its edges.

    Raises:
        RuntimeError: with what the command said.
    """
    chain = "raw_files,edges,graph" if set(kinds) - set(OF_LIGHT) or "race" in kinds else LIGHT
    for arguments in (("region", "add", str(town.folder / "raw")), ("materialize", REGION, "--select", chain)):
        code, said = town.mora(*arguments)
        if code:
            raise RuntimeError(f"mora {' '.join(arguments)}: {said}")
