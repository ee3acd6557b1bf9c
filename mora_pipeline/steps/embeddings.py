"""The embeddings: one vector for every cell, un-normalised, in the order of `cells`; 128 numbers by default.

Source: the features of the modalities that region.yaml has now, and what the preset reads. Preset `paper`: LightGCN
over the mobility graph (`graph`), started from `line_vectors` and aligned to each modality (MoRA); a run that was
killed goes on where it was, from `checkpoints/<region>` in the home, if neither inputs nor settings have changed.
Presets `mora` and `inductive`: a function of each cell's features, flows and surroundings, from `edges`; it can be
another region's (`encoder`). `mora` adds 32 numbers of the region's own to 96; those of another region's encoder are
the 96 alone. Without either in the run config, `embeddings` of region.yaml says which, else it is `mora`. One MLflow
run with parameters, loss curves and weights.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mora_pipeline.contract import schemas
from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.modalities import kinds
from mora_pipeline.presets.interface import EncodedRegion, Training
from mora_pipeline.presets.registry import EmbeddingsSettings, choose, embeddings_settings, presets, settings_of
from mora_pipeline.steps.checks import LEAST_FAMILIARITY, cells_familiar, no_nan, not_collapsed, one_row_per_cell
from mora_pipeline.steps.features import features_names
from mora_pipeline.steps.interface import Progress, RegionRun, Step, Tracker, code_version
from mora_pipeline.steps.results import Markdown, Picture, StepResult


def run(region: RegionRun, settings: EmbeddingsSettings, progress: Progress, tracker: Tracker) -> StepResult:
    """Embed the region's cells by the preset that the settings or region.yaml choose, check and commit the vectors."""
    choice = choose(settings.preset, settings.encoder, region.config, region.lake)
    region.log.info(f"Embeddings by {choice}.")
    if choice.encoder:
        encoded = choice.preset.embed_with(region, choice.encoder)
    else:
        states = region.home / "checkpoints" / region.region / "embeddings"
        training = Training(tracker, region.begin, states, region.log)
        encoded = choice.preset.train(region, settings_of(choice.preset, settings), training)
    for warning in encoded.warnings:
        region.log.warning(warning)
    cells, vectors = encoded.table["cell"].to_numpy(), encoded.vectors
    region.begin("embeddings").write(embeddings_table(encoded.table, vectors, encoded.familiarity))
    checks = [
        one_row_per_cell(CellVectors(cells, vectors), cells),
        no_nan({"embeddings": vectors}),
        not_collapsed(vectors, encoded.states),
        familiar := cells_familiar(encoded.familiarity, population_of(encoded.table)),
    ]
    if not familiar.passed:
        region.log.warning(
            f"{familiar.figures['share_of_cells']:.1%} of the cells of '{region.region}', with "
            f"{familiar.figures['share_of_population']:.1%} of its people, are unlike all that the encoder of "
            f"'{choice.encoder or region.region}' was fitted to (familiarity below {LEAST_FAMILIARITY}): their vectors "
            "say little. The column `familiarity` names them. Train an encoder on a region like this."
        )
    name = choice.preset.name
    result = region.finish(checks, _shown(encoded, name), {"preset": name, **encoded.details})
    if result.committed:
        encoded.on_commit()
    return result


def _shown(encoded: EncodedRegion, preset: str) -> dict[str, Any]:
    """What people see of the embeddings."""
    from mora_pipeline.plots import curve_png, region_map_png

    shown = {**encoded.metadata, "preset": preset}
    if encoded.link:
        shown["mlflow"] = Markdown(encoded.link)
    if encoded.history:
        shown["loss"] = Picture(curve_png(list(encoded.history)), "loss")
    return {**shown, "map": Picture(region_map_png(encoded.table, encoded.vectors), "map")}


def population_of(cells: pa.Table) -> npt.NDArray[np.float64]:
    """Of each cell, float64 [N]; NaN where it is not known."""
    return np.asarray(cells["population"].cast(pa.float64()).fill_null(np.nan).to_numpy(), dtype=np.float64)


def embeddings_table(
    cells: pa.Table, vectors: npt.NDArray[np.float32], familiarity: npt.NDArray[np.float32] | None = None
) -> pa.Table:
    """`schemas.embeddings`: each cell with its hex id, its centre, its vector and its familiarity, in their order.

    Args:
        cells: `schemas.CELLS`, N rows.
        vectors: float32 [N, d].
        familiarity: float32 [N], in [0, 1]; None: null.
    """
    import h3

    own = CellVectors(cells["cell"].to_numpy(), vectors).to_table()
    hex_ids = pa.array([h3.int_to_str(cell) for cell in own["cell"].to_pylist()], pa.string())
    familiar = pa.nulls(len(own), pa.float32()) if familiarity is None else pa.array(familiarity.clip(0, 1))
    columns = [own["cell"], hex_ids, cells["latitude"], cells["longitude"], own["vector"], familiar]
    return pa.table(columns, schema=schemas.embeddings(vectors.shape[1]))


def embeddings_step() -> Step:
    """The step, with the inputs and settings of all presets that there are now."""
    inputs = dict.fromkeys(name for preset in presets().values() for name in preset.inputs)
    return Step(
        "embeddings",
        run,
        __doc__,
        inputs=(*inputs, *features_names()),
        group="embeddings",
        kinds=frozenset({"pytorch", "mlflow"}),
        settings=embeddings_settings(),
        columns=schemas.embeddings(schemas.ANY_LENGTH),
        checks=("one_row_per_cell", "no_nan", "not_collapsed"),
        warnings=("cells_familiar",),
        pool="gpu",
        code_version=code_version("1", kinds(), presets().values()),
    )
