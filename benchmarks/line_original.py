"""LINE's authors' own C++ program (tangjianpku/LINE on GitHub, linux/line.cpp), for benchmarks/line.py.

It is not part of this project: build it with `make line` in its folder, which needs GSL.
"""

import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mora_pipeline.presets.paper.line import num_samples
from mora_pipeline.presets.paper.parameters import LineParameters

Rows = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]


def learn_originally(
    program: Path, edges: tuple[Rows, Rows, npt.NDArray[np.float64]], num_cells: int, parameters: LineParameters
) -> tuple[Vectors, float]:
    """Vectors [N, d] by the C++ program, from as many samples (in whole millions) as ours draw, on as many threads.

    Args:
        program: the executable.
        edges: origin and destination as rows in [0, N), flow; given to it in both directions, as it asks for.
        num_cells: N; cells without a flow get zeros.
        parameters: dimension, order, negatives and what the number of samples follows from.

    Returns:
        The vectors, and the seconds that drawing took: those of the whole run less those of one that draws nothing.
    """
    samples = max(round(num_samples(len(edges[0]), num_cells, parameters) / 1e6), 1)
    with tempfile.TemporaryDirectory() as folder:
        network, target = Path(folder, "edges.txt"), Path(folder, "vectors")
        with network.open("w") as file:
            for one, other, flow in zip(*(column.tolist() for column in edges), strict=True):
                file.write(f"{one} {other} {flow}\n{other} {one} {flow}\n")
        options = {"train": network, "output": target, "binary": 1, "size": parameters.dimension}
        options |= {"order": parameters.order, "negative": parameters.negatives, "rho": parameters.learning_rate}
        options["threads"] = os.cpu_count() or 1
        arguments = [str(part) for name, value in options.items() for part in (f"-{name}", value)]
        seconds = [_seconds([str(program.resolve()), *arguments, "-samples", str(count)]) for count in (0, samples)]
        return _read(target.read_bytes(), num_cells, parameters.dimension), seconds[1] - seconds[0]


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _read(content: bytes, num_cells: int, dimension: int) -> Vectors:
    """A line of two counts, then for each vertex its name, a space, float32s and a newline."""
    vectors = np.zeros((num_cells, dimension), np.float32)
    at, length = content.index(b"\n") + 1, 4 * dimension
    while at < len(content):
        start = content.index(b" ", at) + 1
        vectors[int(content[at:start])] = np.frombuffer(content, "<f4", dimension, start)
        at = start + length + 1
    return vectors
