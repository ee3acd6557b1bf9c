"""A reader that reads every dataset of a home again and again: ``python -m benchmarks.faults.watching HOME``.

Ended by SIGTERM; its last line is JSON with the reads and what was wrong with any of them.
"""

import json
import signal
import sys
import time
from pathlib import Path

from mora_pipeline.contract.errors import UserError
from mora_pipeline.lake import Lake

NOT_YET = "has not been made yet"


def read_all(lake: Lake) -> list[str | None]:
    """Read what readers see of each dataset, whole: for each None, or what was wrong."""
    results: list[str | None] = []
    for current in sorted(lake.root.glob("**/current.json")):
        folder = current.parent
        dataset, region = str(folder.parent.relative_to(lake.root)), folder.name.removeprefix("region=")
        try:
            lake.read(dataset, region).table()
            results.append(None)
        except UserError as error:
            if NOT_YET not in str(error):
                results.append(f"{dataset}: {error}")
    return results


def main(home: Path) -> None:
    """Read until SIGTERM."""
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    lake, reads, bad = Lake(home / "lake"), 0, list[str]()
    while not ended:
        results = read_all(lake)
        reads += len(results)
        bad += [result for result in results if result]
        time.sleep(0.1)
    sys.stdout.write(json.dumps({"reads": reads, "bad": bad}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
