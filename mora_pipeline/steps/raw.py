"""The region's raw files, as they are stored: every file that region.yaml names is opened and its columns compared.

Source: region.yaml and the files it names. Nothing is copied; a wrong file or column stops the run here.
"""

import hashlib

from mora_pipeline.region.checks import check_files
from mora_pipeline.steps.interface import NoSettings, Progress, RegionRun, Step, Tracker
from mora_pipeline.steps.results import StepResult
from mora_pipeline.steps.tables import markdown_rows


def run(region: RegionRun, settings: NoSettings, progress: Progress, tracker: Tracker) -> StepResult:
    """Check every file; the data version changes with any file's size or time of change."""
    config = region.config
    files = check_files(config)
    stamps = [(str(file.path), file.path.stat().st_size, file.path.stat().st_mtime_ns) for file in files]
    rows = [
        (file.key, f"`{file.path}`", file.format, "" if file.rows is None else f"{file.rows:,}", f"{file.bytes:,}")
        for file in files
    ]
    metadata = {
        "region_yaml": config.file,
        "files": markdown_rows(["key", "file", "format", "rows", "bytes"], rows),
        "bytes": sum(file.bytes for file in files),
        "mobility": config.mobility.kind if config.mobility else "none",
        "modalities": ", ".join(f"{name} ({item.kind})" for name, item in config.modalities.items()) or "none",
        "tasks": ", ".join(f"{name} ({task.level})" for name, task in config.tasks.items()) or "none",
    }
    return region.finish(metadata=metadata, data_version=hashlib.sha256(repr(stamps).encode()).hexdigest()[:16])


RAW_FILES = Step("raw_files", run, __doc__, inputs=(), group="raw", kinds=frozenset({"yaml"}), code_version="1")
