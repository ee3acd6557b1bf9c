"""Where things are and who runs them: the lake, Spark, MLflow."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from mora_pipeline.lake import Lake, mora_home
from mora_pipeline.lake.registry import Registry
from mora_pipeline.region import RegionConfig

if TYPE_CHECKING:
    from mora_pipeline.defs.step import Step
    from mora_pipeline.tracking import TrackedRun, TrackingSettings


class LakeResource(dg.ConfigurableResource):
    """The datasets and the known regions of one home."""

    home: str | None = Field(default=None, description="Folder of everything a run makes; default $MORA_HOME or .mora.")

    def path(self) -> Path:
        """The home's absolute folder."""
        return Path(self.home).expanduser().resolve() if self.home else mora_home()

    def lake(self) -> Lake:
        """All datasets."""
        return Lake(self.path() / "lake")

    def region(self, name: str) -> RegionConfig:
        """A region's settings, read anew from its region.yaml.

        Raises:
            UserError: if the region is not known or its file is wrong.
        """
        return Registry(self.path()).load(name)


class Tracking(dg.ConfigurableResource):
    """MLflow: where runs, weights and registered models go."""

    uri: str | None = Field(
        default=None, description="MLflow server; default $MLFLOW_TRACKING_URI, else SQLite in the home."
    )
    link: str | None = Field(
        default=None, description="MLflow's address for people's browsers; default $MORA_MLFLOW_URL, else the server's."
    )

    @contextmanager
    def run(self, work: "Step", parameters: Mapping[str, Any], resume: str | None = None) -> Iterator["TrackedRun"]:
        """One MLflow run of one asset's training, tagged with Dagster's run, the region and the input versions.

        Args:
            resume: id of the run to go on with, after its process was killed.
        """
        from mora_pipeline.tracking import tracked_run

        step = work.context.asset_key.to_user_string()
        inputs = {name: version.version for name, version in work.lineage.items()}
        tags = {"dagster.run_id": work.context.run_id, "dagster.asset": step}
        with tracked_run(self.settings(work.home), work.region, step, parameters, inputs, tags, resume) as run:
            yield run

    def settings(self, home: Path) -> "TrackingSettings":
        """Where MLflow is, for a home."""
        from mora_pipeline.tracking import TrackingSettings

        uri = self.uri or os.environ.get("MLFLOW_TRACKING_URI")
        return TrackingSettings.of(home, uri, self.link or os.environ.get("MORA_MLFLOW_URL"))
