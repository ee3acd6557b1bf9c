"""A whole region in ten lines, in a process that cannot import Dagster: python without_dagster.py REGION_YAML SETTINGS.

SETTINGS is JSON, by name of the step.
"""

import json
import sys
from pathlib import Path

sys.modules |= dict.fromkeys(["dagster", "dagster_pipes", "dagster_shared"])  # importing one of them raises

from mora_pipeline.lake.registry import Registry  # noqa: E402
from mora_pipeline.steps import run_region  # noqa: E402

if __name__ == "__main__":
    region = Registry.at_home().add(Path(sys.argv[1])).region
    for name, result in run_region(region, settings=json.loads(sys.argv[2])):
        print(name, *(version.dataset for version in result.versions))  # noqa: T201 - a script prints
