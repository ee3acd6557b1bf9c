"""A whole benchmark of a region: its tasks, the methods asked for, and what came out of judging them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from mora_pipeline.contract import schemas
from mora_pipeline.contract.errors import UserError
from mora_pipeline.evaluation.labels.blocks import parents
from mora_pipeline.evaluation.labels.leaks import InputColumns, refuse_leaks
from mora_pipeline.evaluation.labels.tasks import Task, load_tasks
from mora_pipeline.evaluation.methods import Inputs, MethodVectors, make_methods, shared_methods
from mora_pipeline.evaluation.methods.flows import STATISTICS, flow_statistics
from mora_pipeline.evaluation.protocol.intervals import interval_table
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.evaluation.protocol.regressors import PROBE
from mora_pipeline.evaluation.protocol.run import Progress, Record, run_benchmark, run_trials, scores_table
from mora_pipeline.evaluation.protocol.scores_cache import KeptArrays
from mora_pipeline.evaluation.protocol.transfer import stacked, transfer_trials
from mora_pipeline.evaluation.protocol.trials import BLOCKED, RANDOM, Trial
from mora_pipeline.modalities import kind_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Judged:
    """Tasks, methods, and `schemas.BENCHMARK`, `schemas.INTERVALS` and `schemas.PREDICTIONS` of judging them.

    Attributes:
        parameters: those asked for, with the protocols that region.yaml adds.
        not_transferred: why a method was left out, by region fitted on, then method.
    """

    parameters: BenchmarkParameters
    tasks: list[Task]
    methods: dict[str, MethodVectors]
    scores: pa.Table
    intervals: pa.Table
    predictions: pa.Table
    not_transferred: dict[str, dict[str, str]] = field(default_factory=dict)


def judge(
    inputs: Inputs,
    parameters: BenchmarkParameters,
    sources: Mapping[str, Inputs] | None = None,
    progress: Progress | None = None,
    kept: KeptArrays | None = None,
) -> Judged:
    """Judge a region's vectors on its tasks.

    Args:
        inputs: the region's.
        parameters: methods, protocols, regressors; published scores in region.yaml add the protocol `published`.
        sources: inputs of the regions that `transfer` fits on, by name.
        progress, kept: see `run_benchmark`.

    Raises:
        UserError: if a task, a method or a region cannot be read.
    """
    if inputs.reader.config.published and "published" not in parameters.protocols:
        parameters = parameters.model_copy(update={"protocols": [*parameters.protocols, "published"]})
    tasks = checked_tasks(inputs, parameters)
    methods = make_methods(parameters.methods, parameters.files, inputs)
    vectors = {name: own.vectors for name, own in methods.items()}
    records = run_benchmark(vectors, tasks, parameters, progress, kept)
    left_out: dict[str, dict[str, str]] = {}
    for region in parameters.transfer_from if "transfer" in parameters.protocols else []:
        source = (sources or {}).get(region)
        if source is None or region == inputs.reader.region:
            raise UserError(f"benchmark: transfer_from names '{region}', which is not another region of this home.")
        both, left_out[region] = _shared(methods, inputs.reader.region, source, parameters)
        records += run_trials(both, _transfer_trials(tasks, source, inputs, parameters), parameters, progress, kept)
    if tasks and not records:
        raise UserError(
            f"benchmark: {', '.join(parameters.protocols)} tries nothing in '{inputs.reader.region}'. The protocol "
            "grouped needs groups under `blocks` in its region.yaml; ask for another protocol beside it."
        )
    intervals, predictions = interval_table(records, parameters.resamples), predictions_table(records, inputs.cells)
    return Judged(parameters, tasks, methods, scores_table(records), intervals, predictions, left_out)


def checked_tasks(inputs: Inputs, parameters: BenchmarkParameters) -> list[Task]:
    """The region's tasks; those whose label is an input column are marked as refused."""
    columns = {"the flows": _flow_columns(inputs)}
    for name, modality in inputs.reader.config.modalities.items():
        if named := kind_of(modality.kind).input_columns(inputs.reader, name):
            columns[name] = InputColumns(named, *inputs.features(name))
    return refuse_leaks(load_tasks(inputs.reader.config, inputs.table), columns, parameters.leak_bound)


def _flow_columns(inputs: Inputs) -> InputColumns:
    statistics = flow_statistics(inputs, "")["flows"].vectors
    return InputColumns(STATISTICS, statistics, np.ones(len(statistics), dtype=bool))


def _shared(
    methods: Mapping[str, MethodVectors], region: str, source: Inputs, parameters: BenchmarkParameters
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Vectors over the cells of both regions, of the methods that both share, and why the others are left out."""
    shared, reasons = shared_methods(methods, parameters.files, source)
    for name, reason in reasons.items():
        logger.warning("%s is not transferred from '%s': %s", name, source.reader.region, reason)
    if not shared:
        raise UserError(
            f"benchmark: '{source.reader.region}' and '{region}' share no method. Methods transfer if their numbers "
            "mean the same in both (coordinates, sines, flows, constant, raw of equal modalities with "
            "raw_components=0, files, datasets of one encoder). "
            + " ".join(f"{name}: {reason.rstrip('.')}." for name, reason in reasons.items())
        )
    return {name: stacked(*pair) for name, pair in shared.items()}, reasons


def _transfer_trials(
    tasks: Sequence[Task], source: Inputs, inputs: Inputs, parameters: BenchmarkParameters
) -> list[list[Trial]]:
    known = {task.name: task for task in checked_tasks(source, parameters)}
    pairs = [
        (task, replace(there, refused=_differently(task.name, inputs, source) or there.refused))
        for task in tasks
        if (there := known.get(task.name))
    ]
    if not pairs:
        raise UserError(
            f"benchmark: '{source.reader.region}' and '{inputs.reader.region}' share no task: they need one of the "
            "same name."
        )
    resolution = min(one.reader.config.resolution for one in (inputs, source))
    ground = (parents(inputs.cells, resolution), parents(source.cells, resolution))
    return transfer_trials(pairs, ground, source.reader.region, parameters)


def _differently(name: str, inputs: Inputs, source: Inputs) -> str | None:
    """Why a label of this name is another number in the other region; None if it is the same."""
    here, there = (one.reader.config for one in (inputs, source))
    ways = [getattr(config.tasks[name], "aggregate", "mean") for config in (here, there)]
    scales = [config.tasks[name].transform for config in (here, there)]
    if scales[0] != scales[1]:
        return f"transform is {scales[1]}, and {scales[0]} here"
    if ways[0] != ways[1]:
        return f"aggregate is {ways[1]}, and {ways[0]} here"
    if ways[0] == "sum" and here.resolution != there.resolution:
        return f"it is a sum over cells of resolution {there.resolution}, and of {here.resolution} here"
    return None


def main_split(records: Sequence[Record]) -> str:
    """The split that pictures show: blocked where it was asked for."""
    splits = {record.trial.split for record in records if not record.trial.skipped}
    return BLOCKED if BLOCKED in splits else RANDOM


def predictions_table(records: Sequence[Record], cells: np.ndarray) -> pa.Table:
    """`schemas.PREDICTIONS` of the main split: the first seed, and the model that is not the linear probe."""
    split, tables, seen = main_split(records), [schemas.PREDICTIONS.empty_table()], set()
    for record in records:
        trial = record.trial
        name = (record.method, trial.task.name)
        if trial.skipped or trial.split != split or trial.model == PROBE or name in seen:
            continue
        seen.add(name)
        labels = [pa.array([text] * len(trial.tested)) for text in (*name, split)]
        numbers = [cells[trial.task.middle[trial.tested]], trial.truth.astype(np.float32), record.predicted]
        tables.append(pa.table([*labels, *map(pa.array, numbers)], schema=schemas.PREDICTIONS))
    return pa.concat_tables(tables)
