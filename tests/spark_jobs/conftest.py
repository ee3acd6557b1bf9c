"""One Spark session for all tests of the jobs, and small raw files to feed them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from spark_jobs.output import part_files
from spark_jobs.session import QUICK_JAVA, spark_session

SETTINGS = {
    "spark.master": "local[2,2]",  # a task that fails is repeated once
    "spark.sql.shuffle.partitions": 2,
    "spark.driver.memory": "1g",
}


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MORA_SPARK_CONF", json.dumps(SETTINGS))
        # Tests compile more than they compute: the quick compiler halves their time.
        with spark_session("tests", QUICK_JAVA) as session:
            yield session


@pytest.fixture
def source(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Write a frame as a raw file and describe it as a job's parameter; roles are columns unless told otherwise."""

    def write(frame: pd.DataFrame, name: str, **columns: str) -> dict[str, Any]:
        path = tmp_path / name
        if name.endswith(".parquet"):
            frame.to_parquet(path, index=False)
        else:
            frame.to_csv(path, index=False)
        form = "parquet" if name.endswith(".parquet") else "csv"
        return {"files": [str(path)], "format": form, "columns": columns or {role: role for role in frame.columns}}

    return write


@pytest.fixture
def output(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Fresh output folders; call again for another set."""
    calls = iter(range(1000))

    def name(*datasets: str) -> dict[str, str]:
        number = next(calls)
        return {dataset: str(tmp_path / f"output_{number}" / dataset) for dataset in datasets}

    return name


@pytest.fixture
def read() -> Callable[[str], pd.DataFrame]:
    """All rows of a dataset in file order."""
    return lambda folder: pd.concat([pq.read_table(file).to_pandas() for file in part_files(folder)], ignore_index=True)
