"""What the settings of all trainings share; without torch, so that Dagster's configuration can reuse them."""

from pydantic import BaseModel, ConfigDict


class Parameters(BaseModel):
    """Unknown keys are refused, values cannot change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
