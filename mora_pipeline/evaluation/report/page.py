"""The report as one page: what the benchmark says first, then every table, the pictures and how it was made.

One file, nothing fetched, readable at 360 pixels and printed; `templates/report.html` has its form.
"""

import base64
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from mora_pipeline.contract.files import replace_file
from mora_pipeline.evaluation.protocol.models import LINEAR_PROBE
from mora_pipeline.evaluation.protocol.scores import sections, skipped_trials
from mora_pipeline.evaluation.protocol.trials import BLOCKED, BY, RANDOM
from mora_pipeline.evaluation.report.ablations import ablation_note, ablation_parts
from mora_pipeline.evaluation.report.charts import Drawing, forest, predicted_against_true, residual_map
from mora_pipeline.evaluation.report.claims import CLAIMS, claim_sentences
from mora_pipeline.evaluation.report.data import ReportData
from mora_pipeline.evaluation.report.markdown import escaped, markdown_report, notes, plain_markdown
from mora_pipeline.evaluation.report.opening import opening_sentence
from mora_pipeline.evaluation.report.summary import SINGLY, caveats, comparisons, headline, summary_table
from mora_pipeline.evaluation.report.tables import MISSING, leak_marked, score_tables, task_notes, task_table
from mora_pipeline.evaluation.report.titles import method_title, model_title, rank, split_title
from mora_pipeline.evaluation.report.words import flat_facts, protocol_words


def write_report(folder: Path, data: ReportData) -> Path:
    """Write report.html, which needs no other file and no network, and report.md.

    Returns:
        The path of report.html.
    """
    folder.mkdir(parents=True, exist_ok=True)
    protocol = "\n".join(f"- {sentence}" for sentence in protocol_words(data.parameters))
    lines = [f"- {escaped(label)}: {escaped(value)}" for label, value in _facts(data).items()]
    parts = [
        f"# {data.region}",
        markdown_report(data),
        *(["## Tasks", plain_markdown(*task_table(data.tasks, data.scores))] if data.tasks else []),
        *task_notes(data.tasks),
        f"## Protocol\n\n{protocol}",
        "## Details\n\n" + "\n".join(lines),
    ]
    replace_file(folder / "report.md", "\n\n".join(parts) + "\n")
    replace_file(folder / "report.html", report_html(data))
    return folder / "report.html"


def report_html(data: ReportData) -> str:
    """The page, self-contained."""
    metric, *others = data.metrics
    tables = score_tables(data.scores, data.reported_scores, data.leaks, metric, data.best_of_seeds)
    compared = comparisons(data.intervals, data.leaks, metric)
    drawn = [item for item in compared if item.model != LINEAR_PROBE] or compared
    return _template().render(
        region=data.region,
        metric=metric,
        missing=MISSING,
        opening=opening_sentence(data.scores, data.leaks, metric),
        summary=[item.sentence() for item in headline(compared)],
        summary_table=summary_table(compared),
        caveats=caveats(compared),
        claims_title=CLAIMS,
        claims=claim_sentences(data.intervals, data.details, data.leaks),
        forests={f"{method_title(item.method)}: {item.title}": forest(item) for item in drawn},
        singly=SINGLY if any(item.by_cells for item in drawn) else "",
        task_table=task_table(data.tasks, data.scores),
        task_notes=task_notes(data.tasks),
        heat_maps=list(_heat_maps(data)),
        tables=tables,
        notes=notes(data.scores, tables),
        more_tables={
            f"{other.title}, in the unit of each label as transformed; the "
            f"{'highest' if other.higher_is_better else 'lowest'} is bold": score_tables(
                data.scores, None, data.leaks, other
            )
            for other in others
        },
        ablation_note=ablation_note(data.ablations),
        ablations=ablation_parts(data.ablations, data.ablation_kinds),
        pairs=_drawings(data, predicted_against_true, []),
        maps=_drawings(data, residual_map, ["cell"]),
        pictures={
            caption: f"data:image/png;base64,{base64.b64encode(png).decode()}" for caption, png in data.pictures.items()
        },
        protocol=protocol_words(data.parameters),
        facts=_facts(data),
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["breakable"] = _breakable
    return environment.get_template("report.html")


def _breakable(name: str) -> Markup:
    """A name that a narrow column may break after an underscore."""
    return escape(name).replace("_", Markup("_<wbr>"))


def _heat_maps(data: ReportData) -> Iterator[dict[str, Any]]:
    """Task by method at a glance, for each split that is not few-shot or transfer; the first model of each."""
    seen, name = set(), data.metrics[0].name
    for split, model, rows in sorted(sections(data.scores.to_pandas()), key=lambda each: rank(*each[:2])):
        if split not in (RANDOM, BLOCKED) and not split.startswith(BY):
            continue
        if split not in seen and rows[name].notna().any():
            methods, tasks = list(dict.fromkeys(rows["method"])), list(dict.fromkeys(rows["task"]))
            mean = rows.groupby(["task", "method"])[name].mean().unstack().reindex(index=tasks, columns=methods)
            body = [
                (leak_marked(task, data.leaks), [None if pd.isna(value) else value for value in mean.loc[task]])
                for task in tasks
            ]
            yield {
                "title": f"{split_title(split)}, {model_title(model)}",
                "methods": [*map(method_title, methods)],
                "rows": body,
            }
        seen.add(split)


def _drawings(data: ReportData, draw: Any, columns: list[str]) -> dict[str, Drawing]:
    """A chart of the predictions of the first method, which the benchmark is about, by caption."""
    frame = data.predictions.to_pandas()
    own = frame[frame["method"] == frame["method"].iloc[0]] if len(frame) else frame
    return {
        f"{task} ({method_title(method)}, {split_title(split)})": draw(
            *(rows[name].to_numpy() for name in [*columns, "truth", "predicted"])
        )
        for (task, method, split), rows in own.groupby(["task", "method", "split"], sort=False)
    }


def _facts(data: ReportData) -> dict[str, str]:
    return flat_facts(
        {
            "seeds": data.parameters.seeds,
            "not scored": len(skipped_trials(data.scores)),
            **data.details,
            **({"ablations": data.ablation_facts} if data.ablation_facts else {}),
        }
    )
