"""The main job: the whole chain of one region, from its raw files to embeddings, benchmark and distilled encoder."""

import dagster as dg

from mora_pipeline.defs.partitions import regions

materialize_region = dg.define_asset_job(
    "materialize_region",
    selection=dg.AssetSelection.all(),
    partitions_def=regions,
    description=__doc__,
)
