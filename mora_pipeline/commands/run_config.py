"""Dagster's run config from what the command line says."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.redaction import has_secret


class _JsonLoader(yaml.SafeLoader):
    """YAML whose dates stay text: run config reaches the run's process as JSON."""


_JsonLoader.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: node.value)


def run_config(config_file: Path | None, assignments: Sequence[str]) -> dict[str, Any]:
    """Run config from a YAML file and ``asset.key=value`` assignments, which win.

    Raises:
        UserError: if the file is not a YAML mapping, an assignment does not have that form, or there is a password.
    """
    config: dict[str, Any] = {}
    if config_file:
        try:
            config = _parsed(config_file.read_text(encoding="utf-8")) or {}
        except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
            raise UserError(f"{config_file}: cannot be read as YAML ({error})") from error
        if not isinstance(config, dict):
            raise UserError(f"{config_file}: must be a mapping such as 'ops: {{embeddings: {{config: ...}}}}'")
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        asset, *keys = name.strip().split(".")
        if not (equals and asset and keys and all(keys)):
            raise UserError(f"--set {assignment}: write ASSET.KEY=VALUE, for example embeddings.units=512")
        try:
            value = _parsed(text)
        except (ValueError, TypeError, yaml.YAMLError) as error:
            raise UserError(f"--set {assignment}: the value is not YAML ({str(error).splitlines()[0]})") from error
        assign(config, asset, keys, value, f"--set {assignment}")
    if has_secret(config):
        raise UserError(
            "The settings hold a password, which everybody who opens the UI could read in the run's record. Leave it "
            "out, and give it by the environment: MLFLOW_TRACKING_URI, AWS_SECRET_ACCESS_KEY and the like."
        )
    return config


def _parsed(text: str) -> Any:
    """What YAML text holds.

    Raises:
        ValueError, TypeError: if it is nothing that JSON can hold, such as a set.
    """
    value = yaml.load(text, _JsonLoader)
    json.dumps(value)
    return value


def assign(config: dict[str, Any], asset: str, keys: Sequence[str], value: object, option: str) -> None:
    """Put a value into run config, at a path of keys below an asset's.

    Args:
        option: the option of the command line that asks for it, for the message.

    Raises:
        UserError: if a key on the way holds something else than a mapping.
    """
    for key in ["ops", asset, "config", *keys[:-1]]:
        config = config.setdefault(key, {})
        if not isinstance(config, dict):
            raise UserError(f"{option}: '{key}' holds a value in the --config file, not a mapping")
    config[keys[-1]] = value
