"""The region's raw files, as they lie there: every file that region.yaml names is opened and its columns compared.

Source: region.yaml and the files it names. Nothing is copied; a wrong file or column stops the run here.
"""

import hashlib

import dagster as dg

from mora_pipeline.defs.metadata import markdown_rows
from mora_pipeline.defs.partitions import regions
from mora_pipeline.defs.resources import LakeResource
from mora_pipeline.defs.step import step
from mora_pipeline.region.checks import check_files


@dg.asset(partitions_def=regions, group_name="raw", kinds={"yaml"}, description=__doc__)
def raw_files(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
    with step(context, lake) as work:
        config = work.config
        files = check_files(config)
        stamps = [(str(file.path), file.path.stat().st_size, file.path.stat().st_mtime_ns) for file in files]
        rows = [
            (file.key, f"`{file.path}`", file.format, "" if file.rows is None else f"{file.rows:,}", f"{file.bytes:,}")
            for file in files
        ]
        return dg.MaterializeResult(
            metadata={
                "region_yaml": dg.MetadataValue.path(str(config.file)),
                "files": markdown_rows(["key", "file", "format", "rows", "bytes"], rows),
                "bytes": sum(file.bytes for file in files),
                "modalities": ", ".join(f"{name} ({item.kind})" for name, item in config.modalities.items()) or "none",
                "tasks": ", ".join(f"{name} ({task.level})" for name, task in config.tasks.items()) or "none",
                **work.meter.metadata(),
            },
            data_version=dg.DataVersion(hashlib.sha256(repr(stamps).encode()).hexdigest()[:16]),
        )
