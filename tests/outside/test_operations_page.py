"""docs/operations.md names only what there is: commands, variables, alarms, sensors, lines of `mora doctor`."""

import re
import shlex
from pathlib import Path

import click
import pytest

from mora_pipeline.alerts import KINDS
from mora_pipeline.cli import main
from mora_pipeline.metrics import NAMES

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "docs" / "operations.md", ROOT / "docs" / "metrics.md"]
TEXT = "\n".join(page.read_text() for page in PAGES)
CODE = "\n".join(
    file.read_text() for folder in ("mora_pipeline", "spark_jobs") for file in sorted((ROOT / folder).rglob("*.py"))
)
STACK = "".join((ROOT / name).read_text() for name in ("docker-compose.yml", ".env.example"))


def commands() -> list[str]:
    """Every `mora ...` between backquotes, and every line of a block of commands."""
    quoted = re.findall(r"`(?:\*/15 \* \* \* \* )?(?:MORA_\S+ )?(mora [^`\n]+)`", TEXT)
    blocks = re.findall(r"```sh\n(.*?)```", TEXT, flags=re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return sorted({text.split(" #")[0].strip() for text in [*quoted, *(line for line in lines if line[:5] == "mora ")]})


@pytest.mark.parametrize("text", commands())
def test_every_command_can_be_typed(text: str) -> None:
    """Its groups, options and arguments exist; nothing of it is run."""
    words, command = shlex.split(text)[1:], main
    while isinstance(command, click.Group):
        name = words.pop(0)
        assert name in command.commands, text
        command = command.commands[name]
    if not words and any(item.required and isinstance(item, click.Argument) for item in command.params):
        return  # the name of a command in a sentence
    command.make_context(text, words, resilient_parsing=False)


def test_every_variable_is_one_that_the_code_reads() -> None:
    named = set(re.findall(r"\bMORA_[A-Z_]+\b", TEXT))
    assert not sorted(name for name in named if name not in CODE + STACK)


def test_every_setting_of_alerts_is_on_the_page() -> None:
    read = set(re.findall(r"\bMORA_ALERT_[A-Z_]+\b", CODE))
    assert not sorted(name for name in read if f"`{name}`" not in TEXT)


def test_every_alarm_has_its_row_and_every_figure_exists() -> None:
    rows = set(re.findall(r"^\| `([a-z_]+)` \| ", (ROOT / "docs" / "operations.md").read_text(), flags=re.MULTILINE))
    assert rows >= set(KINDS) - {"test"}
    assert set(re.findall(r"\bmora_(?!pipeline)[a-z_]*[a-z]\b", TEXT)) - set(NAMES) <= {"mora_"}


def test_every_line_of_the_doctor_and_every_sensor_exists() -> None:
    from mora_pipeline.definitions import defs

    for name in re.findall(r"says ok for `([a-z]+)`", TEXT):
        assert f'Finding("{name}"' in CODE or f'"{name}", existing' in CODE, name
    sensors = {sensor.name for sensor in defs.sensors or []}
    assert {"dead_runs", "new_regions", "metrics_file"} <= sensors
