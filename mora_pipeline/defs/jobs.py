"""The jobs: the whole chain of one region, and its ablations, which no nightly run makes."""

import dagster as dg

from mora_pipeline.defs.assets import job_of
from mora_pipeline.defs.logs import run_loggers
from mora_pipeline.defs.partitions import regions
from mora_pipeline.steps.ablation import ablations_step

materialize_region = dg.define_asset_job(
    "materialize_region",
    selection=dg.AssetSelection.all() - dg.AssetSelection.groups("arrivals"),
    partitions_def=regions,
    config=run_loggers() or None,
    description="The whole chain of one region, from its raw files to embeddings, benchmark and distilled encoder.",
)
ablate_region = job_of(
    ablations_step(),
    "ablate_region",
    "Trains the embeddings of one region with one thing changed at a time, and evaluates each.",
)
