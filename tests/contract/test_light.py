"""The contract is light, and travels with the jobs: a worker needs numpy and pyarrow for it alone."""

import subprocess
import sys
from pathlib import Path

from spark_jobs.session import code_archive

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(file.stem for file in (ROOT / "mora_pipeline" / "contract").glob("*.py") if file.stem != "__init__")
IMPORT = f"""
import importlib, sys
sys.path.insert(0, sys.argv[1])
found = [importlib.import_module(f"mora_pipeline.contract.{{name}}") for name in {MODULES}]
assert all(module.__file__.startswith(sys.argv[1]) for module in found), found
heavy = {{"torch", "pyspark", "pandas", "pydantic", "dagster", "h3", "h3ronpy", "scipy", "sklearn", "mlflow", "duckdb"}}
print(sorted(heavy & set(sys.modules)))
"""


def test_the_archive_of_a_job_holds_a_light_contract(tmp_path: Path) -> None:
    archive = code_archive(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, archive], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
