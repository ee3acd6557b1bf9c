"""A whole benchmark of a region: its tasks, the methods asked for, their scores, and how sure those are."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from mora_pipeline.contract import schemas
from mora_pipeline.contract.errors import UserError
from mora_pipeline.evaluation.best_of_seeds import BestOfSeeds, best_of_seeds
from mora_pipeline.evaluation.cache import ArrayCache
from mora_pipeline.evaluation.labels.leaks import InputColumns, refuse_leaks
from mora_pipeline.evaluation.labels.tasks import Task, load_tasks
from mora_pipeline.evaluation.methods.catalogue import left_out, make_methods, shared_methods
from mora_pipeline.evaluation.methods.flows import STATISTICS, flow_statistics
from mora_pipeline.evaluation.methods.interface import MethodContext, MethodVectors
from mora_pipeline.evaluation.protocol.intervals import interval_table
from mora_pipeline.evaluation.protocol.metrics import METRICS, Metric
from mora_pipeline.evaluation.protocol.models import LINEAR_PROBE
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.evaluation.protocol.run import Progress, Record, run_benchmark, run_trials
from mora_pipeline.evaluation.protocol.scores import scores_table
from mora_pipeline.evaluation.protocol.transfer import LabelledRegion, transfer_trials
from mora_pipeline.evaluation.protocol.trials import BLOCKED, RANDOM, REGION_PAPERS
from mora_pipeline.modalities import kind_of
from mora_pipeline.region import ReportedScores

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BenchmarkResult:
    """Tasks, methods, and `schemas.BENCHMARK`, `schemas.INTERVALS` and `schemas.PREDICTIONS` of them.

    Attributes:
        parameters: those asked for, with the protocol and the folds that region.yaml adds.
        not_transferred: why a method, or which part of it, was left out, by region fitted on, then method.
        left_out: why a method was left out altogether, by method.
        best_of_seeds: an optimistic row beside reported scores, in no table of scores and no comparison.
    """

    parameters: BenchmarkParameters
    tasks: list[Task]
    methods: dict[str, MethodVectors]
    scores: pa.Table
    intervals: pa.Table
    predictions: pa.Table
    not_transferred: dict[str, dict[str, str]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    best_of_seeds: BestOfSeeds | None = None


def evaluate(
    context: MethodContext,
    parameters: BenchmarkParameters,
    sources: Mapping[str, MethodContext] | None = None,
    progress: Progress | None = None,
    cache: ArrayCache | None = None,
    metrics: Sequence[Metric] = METRICS,
) -> BenchmarkResult:
    """Score every method's vectors on a region's tasks.

    Args:
        context: the region's.
        parameters: methods, protocols, models; reported scores in region.yaml add the protocol `region_papers`.
        sources: contexts of the regions that `transfer` fits on, by name.
        progress, cache: see `run_benchmark`.
        metrics: what is scored; the intervals are of the first.

    Raises:
        UserError: if a task, a method or a region cannot be read.
    """
    config = context.reader.config
    parameters = with_reported(parameters, config.published)
    tasks = checked_tasks(context, parameters)
    without = left_out(parameters.methods, config)
    for name, reason in without.items():
        logger.warning("%s is left out of '%s': %s", name, config.region, reason)
    methods = make_methods(parameters.methods, parameters.files, context)
    vectors = {name: own.vectors for name, own in methods.items()}
    records = run_benchmark(vectors, tasks, parameters, progress, cache)
    not_transferred: dict[str, dict[str, str]] = {}
    for region in parameters.transfer_from if "transfer" in parameters.protocols else []:
        source = (sources or {}).get(region)
        if source is None or region == config.region:
            raise UserError(f"benchmark: transfer_from names '{region}', which is not another region of this home.")
        stacked, not_transferred[region] = _shared_vectors(methods, context, source, parameters)
        here = LabelledRegion(config, context.cells, tasks)
        there = LabelledRegion(source.reader.config, source.cells, checked_tasks(source, parameters))
        records += run_trials(stacked, transfer_trials(here, there, parameters), parameters, progress, cache)
    if tasks and not records:
        raise UserError(
            f"benchmark: {', '.join(parameters.protocols)} tries nothing in '{config.region}'. The protocol grouped "
            "needs groups under `blocks` in its region.yaml; ask for another protocol beside it."
        )
    scores, predictions = scores_table(records, metrics), predictions_table(records, context.cells)
    intervals = interval_table(records, parameters.resamples, metric=metrics[0])
    best = best_of_seeds(context, tasks, parameters, progress, cache)
    return BenchmarkResult(parameters, tasks, methods, scores, intervals, predictions, not_transferred, without, best)


def with_reported(parameters: BenchmarkParameters, reported: ReportedScores | None) -> BenchmarkParameters:
    """The parameters with the protocol of reported scores, and with their folds where region.yaml declares them."""
    if reported is None:
        return parameters
    changed: dict[str, object] = {"protocols": list(dict.fromkeys([*parameters.protocols, REGION_PAPERS]))}
    if folds := reported.folds:
        changed |= {"region_papers_folds": folds.count, "region_papers_shuffled": folds.shuffled}
        changed |= {"region_papers_seed": folds.seed, "region_papers_positive_only": folds.positive_only}
    return parameters.model_copy(update=changed)


def checked_tasks(context: MethodContext, parameters: BenchmarkParameters) -> list[Task]:
    """The region's tasks; those whose label is an input column are marked as refused."""
    columns: dict[str, InputColumns] = {}
    if context.reader.config.mobility:
        statistics = flow_statistics(context, "")["flows"].vectors
        columns["the flows"] = InputColumns(STATISTICS, statistics, np.ones(len(statistics), dtype=bool))
    for name, modality in context.reader.config.modalities.items():
        if named := kind_of(modality.kind).input_columns(context.reader, name):
            columns[name] = InputColumns(named, *context.features(name))
        names, amounts, known = context.amounts(name)
        remedy = f"Materialise {modality.kind}_features again, which leaves it out"
        columns[f"the amounts of {name}"] = InputColumns(names, amounts, known, remedy)
    return refuse_leaks(load_tasks(context.reader.config, context.table), columns, parameters.leak_bound)


def _shared_vectors(
    methods: Mapping[str, MethodVectors], context: MethodContext, source: MethodContext, parameters: BenchmarkParameters
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Vectors over the cells of both regions, [N + M, d], of the methods that both share, and why others are not."""
    shared, reasons = shared_methods(methods, parameters.files, context, source)
    for name, reason in reasons.items():
        how = "transferred" if name in shared else "not transferred"
        logger.warning("%s is %s from '%s': %s", name, how, source.reader.region, reason)
    if not shared:
        raise UserError(
            f"benchmark: '{source.reader.region}' and '{context.reader.region}' share no method. Methods transfer if "
            "their numbers mean the same in both (inputs, coordinates, space2vec_grid, flows, constant, raw of equal "
            "modalities with raw_components=0, files, datasets of one encoder). "
            + " ".join(f"{name}: {reason.rstrip('.')}." for name, reason in reasons.items())
        )
    return {name: np.concatenate([here, there.astype(here.dtype)]) for name, (here, there) in shared.items()}, reasons


def predictions_table(records: Sequence[Record], cells: np.ndarray) -> pa.Table:
    """`schemas.PREDICTIONS` of what pictures show: the first seed, blocked folds where asked for, no linear probe.

    Args:
        cells: int64 [N].
    """
    splits = {record.trial.split for record in records if not record.trial.skipped}
    split = BLOCKED if BLOCKED in splits else RANDOM
    tables, seen = [schemas.PREDICTIONS.empty_table()], set()
    for record in records:
        trial = record.trial
        name = (record.method, trial.task.name)
        if trial.skipped or trial.split != split or trial.model == LINEAR_PROBE or name in seen:
            continue
        seen.add(name)
        labels = [pa.array([text] * len(trial.tested)) for text in (*name, split)]
        numbers = [cells[trial.task.middle[trial.tested]], trial.truth.astype(np.float32), record.predicted]
        tables.append(pa.table([*labels, *map(pa.array, numbers)], schema=schemas.PREDICTIONS))
    return pa.concat_tables(tables)
