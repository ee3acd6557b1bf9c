"""The jobs: the whole chain of one region, and its ablations, which no nightly run makes."""

import dagster as dg

from mora_pipeline.defs.partitions import regions

materialize_region = dg.define_asset_job(
    "materialize_region",
    selection=dg.AssetSelection.all() - dg.AssetSelection.assets("ablations"),
    partitions_def=regions,
    description="The whole chain of one region, from its raw files to embeddings, benchmark and distilled encoder.",
)
ablate_region = dg.define_asset_job(
    "ablate_region",
    selection=dg.AssetSelection.assets("ablations"),
    partitions_def=regions,
    description="Trains the embeddings of one region with one thing changed at a time, and judges each.",
)
