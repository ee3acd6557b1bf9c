"""Everything Dagster knows of this project: loads `defs/`, nothing else."""

import warnings

import dagster as dg

from mora_pipeline import defs as package
from mora_pipeline.defs.resources import LakeResource, Tracking
from mora_pipeline.defs.spark import SparkSubmit

with warnings.catch_warnings():
    warnings.simplefilter("ignore", dg.PreviewWarning)
    defs = dg.load_definitions_from_package_module(
        package,
        resources={"lake": LakeResource(), "spark": SparkSubmit(), "tracking": Tracking()},
        # Every step in a process of its own: its memory goes back to the machine, and torch and mlflow stay out of
        # the others. Two at once, because pools let only one of them be Spark's and one torch's.
        executor=dg.multiprocess_executor.configured({"max_concurrent": 2}),
    )
