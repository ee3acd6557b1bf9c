"""What every test shares: the real data beside the checkout, and a home that is thrown away."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
os.environ.setdefault("MORA_PRUNE_CRON", "0 0 29 2 *")  # a daemon of a test adds no run because it is half past five
os.environ.setdefault("MORA_SPARK_CLASSES", str(Path(__file__).resolve().parents[1] / ".pytest_cache" / "spark"))
if "PYTEST_XDIST_WORKER" in os.environ:
    # Threads of processes that share the cores spin for one another: ten times slower than one thread each.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# A busy machine is no counterexample.
settings.register_profile("steady", deadline=None)
settings.load_profile("steady")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The public data sets kept beside the checkout."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real data at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture
def mora_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty $MORA_HOME."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("MORA_HOME", str(home))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return home
