"""Where things are: the lake and MLflow."""

import os
from pathlib import Path

import dagster as dg
from pydantic import Field

from mora_pipeline.lake import mora_home, opened
from mora_pipeline.tracking import TrackingSettings


class LakeResource(dg.ConfigurableResource):
    """The datasets and the known regions of one home."""

    home: str | None = Field(default=None, description="Folder of everything a run makes; default $MORA_HOME or .mora.")

    def path(self) -> Path:
        """The home's absolute folder, ready for use."""
        return opened(Path(self.home).expanduser().resolve() if self.home else mora_home(), create=True)


class Tracking(dg.ConfigurableResource):
    """MLflow: where runs, weights and registered models go."""

    uri: str | None = Field(
        default=None, description="MLflow server; default $MLFLOW_TRACKING_URI, else SQLite in the home."
    )
    link: str | None = Field(
        default=None, description="MLflow's address for people's browsers; default $MORA_MLFLOW_URL, else the server's."
    )

    def settings(self, home: Path) -> TrackingSettings:
        """Where MLflow is, for a home."""
        uri = self.uri or os.environ.get("MLFLOW_TRACKING_URI")
        return TrackingSettings.of(home, uri, self.link or os.environ.get("MORA_MLFLOW_URL"))
