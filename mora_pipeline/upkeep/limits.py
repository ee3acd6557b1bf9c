"""How much of its past a home keeps."""

import os

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mora_pipeline.contract.errors import UserError

PREFIX = "MORA_KEEP_"


class Limits(BaseModel):
    """What `mora prune` keeps; each field may be set by a variable, such as MORA_KEEP_RUN_DAYS."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_days: int = Field(90, ge=1, description="Days that Dagster's runs, their events and logs are kept.")
    runs: int = Field(60, ge=1, description="Runs of a region that Dagster keeps, the newest.")
    log_days: int = Field(30, ge=1, description="Days that logs of runs started by commands are kept.")
    tracked_runs: int = Field(7, ge=1, description="MLflow runs of each step of a region that are kept, the newest.")
    models: int = Field(5, ge=1, description="Kept versions of a registered model, besides those with an alias.")
    cache_days: int = Field(90, ge=1, description="Days after which a cached file that nobody used is deleted.")
    cache_gb: float = Field(20.0, gt=0, description="What the cache may take; the files used longest ago go first.")

    @classmethod
    def from_environment(cls) -> "Limits":
        """The limits that the variables set.

        Raises:
            UserError: if one is no number of the right kind.
        """
        chosen = {name: os.environ.get(f"{PREFIX}{name.upper()}") for name in cls.model_fields}
        try:
            return cls.model_validate({name: value for name, value in chosen.items() if value})
        except ValidationError as error:
            problems = [f"{PREFIX}{str(item['loc'][0]).upper()}: {item['msg']}" for item in error.errors()]
            raise UserError("\n".join(problems)) from None
