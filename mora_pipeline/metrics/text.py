"""Prometheus's text format, version 0.0.4."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sample:
    """One number, and what it is of."""

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


def exposition(samples: Iterable[Sample], names: Mapping[str, str]) -> str:
    """Samples as text, those of a name together, all of them gauges.

    Args:
        names: what each name means; only these may be used.

    Raises:
        KeyError: if a sample has another name.
    """
    by_name: dict[str, list[Sample]] = {name: [] for name in names}
    for sample in samples:
        by_name[sample.name].append(sample)
    lines = []
    for name, group in by_name.items():
        if group:
            lines += [f"# HELP {name} {_escaped(names[name], quotes=False)}", f"# TYPE {name} gauge"]
            lines += [f"{name}{_labels(sample.labels)} {_number(sample.value)}" for sample in group]
    return "".join(f"{line}\n" for line in lines)


def _labels(labels: Mapping[str, str]) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""


def _escaped(text: str, quotes: bool = True) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
