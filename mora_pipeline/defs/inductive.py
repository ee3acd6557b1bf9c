"""The preset `inductive` of the embeddings: an encoder of cells' evidence, trained here or taken from another region.

An encoder that is trained is published as the dataset `encoder` beside the embeddings: `encoder.safetensors`, and
`encoder.json` with what it asks of a region.
"""

from typing import Any

import dagster as dg
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mora_pipeline.defs.resources import Tracking
from mora_pipeline.defs.step import Step
from mora_pipeline.presets.inductive.parameters import InductiveParameters

MUCH = 0.5  # share of cells far from all units above which a warning is due
Embedded = tuple[pa.Table, npt.NDArray[np.float32], dict[str, Any], dict[str, Any]]


class InductiveConfig(InductiveParameters, dg.Config):
    """The inductive encoder as Dagster's run config."""


def trained_here(work: Step, parameters: InductiveConfig, tracking: Tracking) -> Embedded:
    """Train an encoder on the region and begin its dataset; it is published with the embeddings.

    Returns:
        `cells`, their vectors in that order, metadata for the UI and details for the record.
    """
    from mora_pipeline.presets.inductive.encoder import save_encoder
    from mora_pipeline.presets.inductive.region import read_evidence, schema_of
    from mora_pipeline.presets.inductive.schema import DATASET, SETTINGS
    from mora_pipeline.presets.inductive.train import train_inductive

    names = list(work.config.modalities)
    schema = schema_of(work, names, parameters.neighbours)
    cells, evidence = read_evidence(work, names, parameters.neighbours)
    target = work.begin(DATASET)
    with tracking.run(work, {"preset": "inductive", **parameters.model_dump()}) as run:
        found = train_inductive(evidence, schema, parameters)
        save_encoder(found.encoder, target.path)
        run.metrics(found.scores)
        run.weights(DATASET, found.encoder.tensors())
        run.file(target.path / SETTINGS)
    link = dg.MetadataValue.md(run.link())
    metadata = {**found.scores, "training_seconds": found.seconds, "mlflow": link, "encoder": target.version}
    details = {"preset": "inductive", "mlflow_run": run.run_id, "encoder_region": work.region}
    return cells, found.embeddings, metadata, {**details, "encoder_version": target.version}


def embedded_by(work: Step, other: str) -> Embedded:
    """Embed the region with another region's encoder; returns what `trained_here` does."""
    from mora_pipeline.presets.inductive.encoder import load_encoder
    from mora_pipeline.presets.inductive.region import embed_with
    from mora_pipeline.presets.inductive.schema import encoder_version

    version = encoder_version(work.lake, other)
    work.lineage[f"encoder of {other}"] = version
    encoder = load_encoder(version.path)
    cells, found = embed_with(work, encoder)
    if found.share_far > MUCH:
        work.context.log.warning(
            f"{found.share_far:.0%} of the cells of '{work.region}' are unlike all that the encoder of '{other}' has "
            "seen (no unit answers): their vectors are nearly one and the same. Train an encoder on a region like this."
        )
    theirs = work.lake.read("embeddings", other).details if work.lake.has("embeddings", other) else {}
    is_shared = theirs.get("encoder_version") == version.version
    if not is_shared:
        work.context.log.warning(
            f"The embeddings of '{other}' are not those of its encoder any more: the vectors of '{work.region}' will "
            f"not lie in their space. Write embeddings: {{preset: inductive}} into the region.yaml of '{other}', so "
            "that every rebuild makes both, and materialise it first."
        )
    left_out = [name for name in work.config.modalities if name not in encoder.schema.names]
    if left_out:
        work.context.log.warning(f"The encoder of '{other}' does not know {', '.join(left_out)}: not used.")
    details = {"preset": "inductive", "encoder_region": other, "encoder_version": version.version}
    metadata = {"encoder_region": other, "encoder": version.version, "share_far": found.share_far}
    metadata[f"same space as the embeddings of {other}"] = is_shared
    return cells, found.vectors, {**metadata, "modalities_left_out": left_out or "none"}, details
