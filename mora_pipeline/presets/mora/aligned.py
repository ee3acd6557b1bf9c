"""The aligned part of `mora`: LightGCN vectors as the preset `paper` has them, for a twentieth of the time.

All is made from the edges: the graph of the strongest flows, LINE and the alignment. So the vectors depend on no
setting of the steps `graph` and `line_vectors`, and neither has to run.
"""

import logging
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from mora_pipeline.contract.sampling import top_share
from mora_pipeline.contract.schemas import Edges
from mora_pipeline.modalities import LoadedModality
from mora_pipeline.presets.mora.aligned_parameters import AlignedParameters
from mora_pipeline.presets.paper.graph import Adjacency, symmetrise_and_normalise
from mora_pipeline.presets.paper.line import train_line
from mora_pipeline.presets.paper.trainer import train_alignment

FEWEST_CELLS = 4  # two to train on and two to validate
logger = logging.getLogger(__name__)


def aligned_vectors(
    edges: Edges,
    num_cells: int,
    modalities: Sequence[LoadedModality],
    parameters: AlignedParameters,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
) -> npt.NDArray[np.float32] | None:
    """LightGCN over the strongest flows, started from LINE and aligned to every modality.

    Memory: 32 bytes an edge, the modalities' own vectors and ten tables of [N, dimension]. A modality takes part where
    a batch holds two of its cells on average: it has no negatives otherwise.

    Args:
        edges: all flows of the region, in any order; pairs are distinct.
        num_cells: N.
        modalities: in the row order of the cells.
        parameters: sizes, steps and seed.
        on_epoch: called with an entry of losses after each epoch (`AlignmentResult.history`).

    Returns:
        Un-normalised, float32 [N, dimension], of the epoch with the lowest validation loss; equal bytes for equal
        arguments on one machine. None where nothing can be aligned: without flows, without modalities, or with fewer
        than 4 cells.

    Raises:
        UserError: if features are not finite, or the loss no longer is.

    Source: MoRA, sections on the graph, LINE and the alignment (method.md); steps, schedule and batches are ours.
    """
    if num_cells < FEWEST_CELLS or not len(edges.flow):
        return None
    settings = parameters.alignment(num_cells)
    fewest = max(2.0, 2 * num_cells / settings.batch_size)
    known = [one for one in modalities if one.present.sum() >= fewest]
    if not known:
        return None
    adjacency = strongest_flows(edges, num_cells, parameters.share)
    line = train_line(edges.origin, edges.destination, edges.flow, num_cells, parameters.line())
    result = train_alignment(adjacency, line, known, settings, on_epoch)
    logger.info("%d epochs of alignment took %.0f s", len(result.history), result.seconds)
    return result.embeddings


def strongest_flows(edges: Edges, num_cells: int, share: float) -> Adjacency:
    """Ã [N, N] of each origin's strongest flows, as the step `graph` and `load_adjacency` make it.

    Args:
        edges: as rows of the cells, in any order; pairs are distinct.
        num_cells: N.
        share: of an origin's edges, above 0 and up to 1; each keeps one at least.
    """
    order = np.lexsort((edges.destination, edges.origin))
    origin, destination = (rows[order].astype(np.int64) for rows in (edges.origin, edges.destination))
    flow = np.asarray(edges.flow[order], dtype=np.float64)
    kept = top_share({"share": share}).keep(origin, destination, flow)
    return Adjacency.from_matrix(symmetrise_and_normalise(origin[kept], destination[kept], flow[kept], num_cells))
