"""Everything Dagster knows of this project: loads `defs/`, nothing else."""

import warnings

import dagster as dg

from mora_pipeline import defs as package
from mora_pipeline.defs.executor import region_executor
from mora_pipeline.defs.logs import NAME, json_lines
from mora_pipeline.defs.resources import LakeResource, Tracking
from mora_pipeline.defs.spark import SparkSubmit

with warnings.catch_warnings():
    warnings.simplefilter("ignore", dg.PreviewWarning)
    defs = dg.load_definitions_from_package_module(
        package,
        resources={"lake": LakeResource(), "spark": SparkSubmit(), "tracking": Tracking()},
        executor=region_executor,
        loggers={NAME: json_lines},
    )
