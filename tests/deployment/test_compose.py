"""docker-compose.yml, Dockerfile and .env.example as text: valid, safe, and in agreement with each other."""

import copy
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from mora_pipeline.contract.errors import UserError
from mora_pipeline.guard.proxy import password_of

PROJECT = Path(__file__).resolve().parents[2]
# The Compose specification's own schema, as the wheel check-jsonschema 0.39.0 carries it (Apache-2.0).
SCHEMA = json.loads(Path(__file__).with_name("compose-spec.json").read_text())
RAW = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())


def test_the_file_follows_the_compose_schema(compose_file: dict[str, Any]) -> None:
    validator = jsonschema.validators.validator_for(SCHEMA)(SCHEMA)
    for content in (RAW, compose_file):
        assert [error.message for error in validator.iter_errors(content)] == []


def test_the_schema_would_notice_a_mistake(compose_file: dict[str, Any]) -> None:
    wrong = copy.deepcopy(compose_file)
    wrong["services"]["daemon"]["helthcheck"] = {}
    with pytest.raises(jsonschema.ValidationError, match="helthcheck"):
        jsonschema.validate(wrong, SCHEMA)


def test_docker_compose_itself_accepts_the_file() -> None:
    known = (
        subprocess.run(["docker", "compose", "version"], capture_output=True, check=False) if _has_docker() else None
    )
    if known is None or known.returncode:
        pytest.skip("no docker compose on this machine; the schema alone was asked")
    command = ["docker", "compose", "--env-file", ".env.example", "config", "--quiet"]
    asked = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stderr


def _has_docker() -> bool:
    import shutil

    return shutil.which("docker") is not None


def test_every_variable_stands_in_env_example_with_the_same_default(variables: dict[str, str]) -> None:
    text = (PROJECT / "docker-compose.yml").read_text()
    used = dict(re.findall(r"\$\{(\w+)(?::-([^}]*))?", text))
    assert set(used) == set(variables)
    assert {name: default for name, default in used.items() if default} == {
        name: value for name, value in variables.items() if name not in ("POSTGRES_PASSWORD", "MORA_UI_PASSWORD")
    }


def test_there_is_no_start_without_a_password() -> None:
    assert "${POSTGRES_PASSWORD:?" in RAW["services"]["postgres"]["environment"]["POSTGRES_PASSWORD"]
    assert "${MORA_UI_PASSWORD:?" in RAW["services"]["proxy"]["environment"]["MORA_UI_PASSWORD"]
    assert "changeMe" not in (PROJECT / "docker-compose.yml").read_text()


def test_the_proxy_is_the_only_way_in_and_on_the_loopback_address(compose_file: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in compose_file["services"].items() if "ports" in service}
    assert list(published) == ["proxy"]
    assert len(published["proxy"]) == 1
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in published["proxy"])


def test_the_example_password_is_refused(variables: dict[str, str]) -> None:
    """Somebody who copied the file and forgot to set one."""
    with pytest.raises(UserError, match="MORA_UI_PASSWORD"):
        password_of(variables)


@pytest.mark.parametrize("name", list(RAW["services"]))
def test_a_service_is_pinned_checked_restarted_and_not_root(name: str, compose_file: dict[str, Any]) -> None:
    service = compose_file["services"][name]
    _, _, tag = service["image"].partition(":")
    assert tag
    assert tag != "latest"
    assert service["user"] not in ("root", "0", "0:0")
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"
    assert service["cap_drop"] == ["ALL"]
    assert "privileged" not in service
    assert not any("docker.sock" in volume for volume in service.get("volumes", []))
    for needed, condition in service.get("depends_on", {}).items():
        assert needed in compose_file["services"]
        assert condition == {"condition": "service_healthy"}


def test_volumes_are_named_or_read_only(compose_file: dict[str, Any]) -> None:
    for service in compose_file["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose_file["volumes"] or volume.endswith(":ro"), volume


def test_the_image_has_the_user_the_python_and_the_files_that_services_expect() -> None:
    dockerfile = (PROJECT / "Dockerfile").read_text()
    assert re.search(r"^FROM python:3\.11\.\d+-slim-\w+$", dockerfile, re.MULTILINE)
    assert re.search(r"^USER 10001:10001$", dockerfile, re.MULTILINE)
    assert "--constraint constraints.txt" in dockerfile
    assert "COPY deploy/dagster.yaml deploy/workspace.yaml /opt/dagster/" in dockerfile
    ignored = (PROJECT / ".dockerignore").read_text().split()
    for line in re.findall(r"^COPY (.+)$", dockerfile, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (PROJECT / source).exists(), source
            assert f"!{source.split('/')[0]}" in ignored, source


def test_one_machine_and_the_deployment_queue_runs_alike() -> None:
    """Pools and monitoring are explained once, in dagster.yaml; the copy must not drift."""
    here, there = (yaml.safe_load((PROJECT / file).read_text()) for file in ("dagster.yaml", "deploy/dagster.yaml"))
    own = {"storage", "compute_logs", "local_artifact_storage"}
    assert {key: value for key, value in here.items() if key not in own} == {
        key: value for key, value in there.items() if key not in own
    }
