"""The embeddings: 128 numbers for every cell, un-normalised, in the order of `cells`.

Source: `graph`, `line_vectors` and the features of the modalities that region.yaml has now. Preset `paper`: LightGCN
over the mobility graph, aligned to each modality (MoRA); a run that was killed goes on where it was, from
`checkpoints/<region>` in the home, if neither inputs nor settings have changed. Preset `inductive`: a function of each
cell's features, flows and surroundings, from `edges`; it can be another region's (`encoder`). Without either in the
run config, `embeddings` of region.yaml says which, else it is `paper`. One MLflow run with parameters, loss curves and
weights.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from mora_pipeline.contract import schemas
from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.presets.inductive.parameters import InductiveParameters
from mora_pipeline.presets.paper.parameters import AlignmentParameters
from mora_pipeline.region import RegionConfig
from mora_pipeline.steps.checks import no_nan, not_collapsed, one_row_per_cell
from mora_pipeline.steps.features import FEATURES
from mora_pipeline.steps.interface import Markdown, Picture, Progress, RegionRun, Step, StepResult, Tracker

if TYPE_CHECKING:
    from mora_pipeline.presets.paper.checkpoint import Checkpoint

Vectors = npt.NDArray[np.float32]
MUCH = 0.5  # share of cells far from all units above which a warning is due
Embedded = tuple[pa.Table, Vectors, dict[str, Any], dict[str, Any]]


class EmbeddingsSettings(AlignmentParameters):
    """How cells are embedded; the keys beside the first three belong to the preset `paper`."""

    preset: Literal["declared", "paper", "inductive"] = Field(
        "declared",
        description="declared: as `embeddings` of region.yaml says, else paper; paper: MoRA's table of node vectors, "
        "trained by alignment; inductive: an encoder of features, flows and surroundings, which can embed other "
        "regions too.",
    )
    encoder: str | None = Field(
        None,
        description="Region whose inductive encoder embeds this one, in its vector space; the embeddings are not "
        "trained then.",
    )
    inductive: InductiveParameters = Field(InductiveParameters(), description="The encoder of the preset inductive.")


@dataclass(frozen=True)
class Choice:
    """What makes the vectors: a preset, the region of an encoder if it is another's, and who said so."""

    preset: str
    encoder: str | None
    why: str

    def __str__(self) -> str:
        return f"preset {self.preset}{f', encoder of {self.encoder}' if self.encoder else ''}: {self.why}"


def choice(preset: str, encoder: str | None, region: RegionConfig) -> Choice:
    """What a run config and a region.yaml come to; the run config wins, as a whole.

    Raises:
        UserError: if the run config wants preset paper and an encoder.
    """
    if preset == "paper" and encoder:
        raise UserError(
            f"embeddings.preset is 'paper' and embeddings.encoder is '{encoder}', but an encoder is of preset "
            "inductive. Set one of the two."
        )
    why = "the run config says so"
    if preset == "declared" and encoder is None:
        declared = region.embeddings
        preset, encoder = declared.preset or "paper", declared.encoder
        said = declared.preset or declared.encoder
        why = f"{region.file} says so" if said else f"neither the run config nor {region.file} says otherwise"
    return Choice("inductive" if encoder else preset, encoder, why)


def run(region: RegionRun, settings: EmbeddingsSettings, progress: Progress, tracker: Tracker) -> StepResult:
    """Embed the region's cells by the preset that the settings or region.yaml choose."""
    chosen = choice(settings.preset, settings.encoder, region.config)
    region.log.info(f"Embeddings by {chosen}.")
    if chosen.encoder:
        return finished(region, *embedded_by(region, chosen.encoder))
    if chosen.preset == "inductive":
        return finished(region, *trained_here(region, settings.inductive, tracker))
    parameters = AlignmentParameters(**settings.model_dump(include=set(AlignmentParameters.model_fields)))
    encoded, checkpoint = aligned(region, parameters, tracker)
    result = finished(region, *encoded)
    if result.committed:
        checkpoint.clear()
    return result


def aligned(region: RegionRun, parameters: AlignmentParameters, tracker: Tracker) -> tuple[Embedded, "Checkpoint"]:
    """Train the paper's table of node vectors; returns it, and where its state is kept until it is published."""
    from mora_pipeline.plots import curve_png
    from mora_pipeline.presets.paper.checkpoint import Checkpoint, alignment_key
    from mora_pipeline.presets.paper.graph import load_adjacency
    from mora_pipeline.presets.paper.trainer import Modality, train_alignment

    table = region.read("cells").table()
    cells = table["cell"].to_numpy()
    adjacency = load_adjacency(region.read("graph").batches, cells)
    line = region.vectors("line_vectors", cells)
    chosen = parameters.chosen(list(region.config.modalities))
    modalities = [
        Modality(name, modality.kind, *region.features(name).on(cells), modality.temperature)
        for name, modality in region.config.modalities.items()
        if name in chosen
    ]
    key = alignment_key(adjacency, line, modalities, parameters)
    checkpoint = Checkpoint(region.home / "checkpoints" / region.region / "embeddings", key)

    def tell(epoch: dict[str, float]) -> None:
        tracked.epoch(epoch)
        region.log.info(", ".join(f"{name} {value:.6g}" for name, value in epoch.items()))

    told = {"preset": "paper", **parameters.model_dump()}
    with tracker.run(told, checkpoint.notes.get("mlflow_run")) as tracked:
        checkpoint.notes["mlflow_run"] = tracked.run_id
        found = train_alignment(adjacency, line, modalities, parameters, tell, checkpoint)
        tracked.weights("alignment", found.weights)
    metadata: dict[str, Any] = {
        "epochs": len(found.history),
        "best_epoch": found.best_epoch,
        "training_seconds": found.seconds,
        "mlflow": Markdown(tracked.link()),
    }
    if found.history:
        metadata["loss"] = Picture(curve_png(found.history), "loss")
    details = {"preset": "paper", "mlflow_run": tracked.run_id, "best_epoch": found.best_epoch}
    return (table, found.embeddings, metadata, details), checkpoint


def trained_here(region: RegionRun, parameters: InductiveParameters, tracker: Tracker) -> Embedded:
    """Train an encoder on the region and begin its dataset; it is published with the embeddings.

    Returns:
        `cells`, their vectors in that order, metadata for the UI and details for the record.
    """
    from mora_pipeline.presets.inductive.encoder import save_encoder
    from mora_pipeline.presets.inductive.region import read_evidence, schema_of
    from mora_pipeline.presets.inductive.schema import DATASET, SETTINGS
    from mora_pipeline.presets.inductive.train import train_inductive

    names = list(region.config.modalities)
    schema = schema_of(region, names, parameters.neighbours)
    cells, evidence = read_evidence(region, names, parameters.neighbours)
    target = region.begin(DATASET)
    with tracker.run({"preset": "inductive", **parameters.model_dump()}) as tracked:
        found = train_inductive(evidence, schema, parameters)
        save_encoder(found.encoder, target.path)
        tracked.metrics(found.scores)
        tracked.weights(DATASET, found.encoder.tensors())
        tracked.file(target.path / SETTINGS)
    link = Markdown(tracked.link())
    metadata = {**found.scores, "training_seconds": found.seconds, "mlflow": link, "encoder": target.version}
    details = {"preset": "inductive", "mlflow_run": tracked.run_id, "encoder_region": region.region}
    return cells, found.embeddings, metadata, {**details, "encoder_version": target.version}


def embedded_by(region: RegionRun, other: str) -> Embedded:
    """Embed the region with another region's encoder; returns what `trained_here` does."""
    from mora_pipeline.presets.inductive.encoder import load_encoder
    from mora_pipeline.presets.inductive.region import embed_with
    from mora_pipeline.presets.inductive.schema import encoder_version

    version = encoder_version(region.lake, other)
    region.lineage[f"encoder of {other}"] = version
    encoder = load_encoder(version.path)
    cells, found = embed_with(region, encoder)
    if found.share_far > MUCH:
        region.log.warning(
            f"{found.share_far:.0%} of the cells of '{region.region}' are unlike all that the encoder of '{other}' has "
            "seen (no unit answers): their vectors are nearly one and the same. Train an encoder on a region like this."
        )
    theirs = region.lake.read("embeddings", other).details if region.lake.has("embeddings", other) else {}
    is_shared = theirs.get("encoder_version") == version.version
    if not is_shared:
        region.log.warning(
            f"The embeddings of '{other}' are not those of its encoder any more: the vectors of '{region.region}' will "
            f"not lie in their space. Write embeddings: {{preset: inductive}} into the region.yaml of '{other}', so "
            "that every rebuild makes both, and materialise it first."
        )
    left_out = [name for name in region.config.modalities if name not in encoder.schema.names]
    if left_out:
        region.log.warning(f"The encoder of '{other}' does not know {', '.join(left_out)}: not used.")
    details = {"preset": "inductive", "encoder_region": other, "encoder_version": version.version}
    metadata = {"encoder_region": other, "encoder": version.version, "share_far": found.share_far}
    metadata[f"same space as the embeddings of {other}"] = is_shared
    return cells, found.vectors, {**metadata, "modalities_left_out": left_out or "none"}, details


def finished(
    region: RegionRun, table: pa.Table, vectors: Vectors, metadata: dict[str, Any], details: dict[str, Any]
) -> StepResult:
    """Check the vectors of all cells and commit them, with what was begun before."""
    from mora_pipeline.plots import region_map_png

    cells = table["cell"].to_numpy()
    region.begin("embeddings").write(embeddings_table(table, vectors))
    checks = [
        one_row_per_cell(CellVectors(cells, vectors), cells),
        no_nan({"embeddings": vectors}),
        not_collapsed(vectors),
    ]
    shown = {"preset": details["preset"], "map": Picture(region_map_png(table, vectors), "map")}
    return region.finish(checks, {**metadata, **shown}, details)


def embeddings_table(cells: pa.Table, vectors: npt.NDArray[np.float32]) -> pa.Table:
    """`schemas.embeddings`: each cell with its hex id, its centre and its vector, in the order of `cells`."""
    import h3

    own = CellVectors(cells["cell"].to_numpy(), vectors).to_table()
    hex_ids = pa.array([h3.int_to_str(cell) for cell in own["cell"].to_pylist()], pa.string())
    columns = [own["cell"], hex_ids, cells["latitude"], cells["longitude"], own["vector"]]
    return pa.table(columns, schema=schemas.embeddings(vectors.shape[1]))


EMBEDDINGS = Step(
    "embeddings",
    run,
    __doc__,
    inputs=("cells", "edges", "graph", "line_vectors", *FEATURES),
    group="embeddings",
    kinds=frozenset({"pytorch", "mlflow"}),
    settings=EmbeddingsSettings,
    columns=schemas.embeddings(schemas.DIMENSION),
    checks=("one_row_per_cell", "no_nan", "not_collapsed"),
    pool="gpu",
)
