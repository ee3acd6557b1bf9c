"""Where things are: the lake and MLflow. The environment says it, and no run: what a run names, it could overwrite."""

import os
from pathlib import Path

import dagster as dg

from mora_pipeline.lake import mora_home, opened
from mora_pipeline.tracking import TrackingSettings


class LakeResource(dg.ConfigurableResource):
    """The datasets and the known regions of $MORA_HOME (default: .mora in the current folder)."""

    def path(self) -> Path:
        """The home's absolute folder, ready for use."""
        return opened(mora_home(), create=True)


class Tracking(dg.ConfigurableResource):
    """MLflow, where runs, weights and registered models go.

    Its server is $MLFLOW_TRACKING_URI, else SQLite in the home; $MORA_MLFLOW_URL is its address for people's browsers.
    """

    def settings(self, home: Path) -> TrackingSettings:
        """Where MLflow is, for a home."""
        return TrackingSettings.of(home, os.environ.get("MLFLOW_TRACKING_URI"), os.environ.get("MORA_MLFLOW_URL"))
