"""Pictures of steps, where the UI shows them at once.

The UI shows a short text as it is and hides a long one behind a button, so a picture within the text would be hidden.
Dagster's webserver hands out what lies among the output of a run (``/logs/<run>/…``): a picture is kept there, beside
what the step printed, and goes with it.
"""

import base64
import re
from pathlib import Path

import dagster as dg

from mora_pipeline.steps.results import Picture


def shown_picture(picture: Picture) -> dg.MarkdownMetadataValue:
    """The picture as Markdown: a link to the run's files, or all of it where the run has no files on this machine."""
    link = _kept(picture) or f"data:image/png;base64,{base64.b64encode(picture.png).decode()}"
    return dg.MetadataValue.md(f"![{picture.title}]({link})")


def _kept(picture: Picture) -> str | None:
    """The address of the picture among the output of the run at work, after it was put there."""
    try:
        context = dg.OpExecutionContext.get()
    except Exception:  # noqa: BLE001 (Dagster has no public name for "there is no run")
        return None
    place_of = getattr(context.instance.compute_log_manager, "get_captured_local_path", None)
    if place_of is None:  # a manager that keeps output elsewhere, or nowhere
        return None
    name = re.sub(r"[^a-z0-9]+", "_", f"{context.op_def.name}_{picture.title}".lower()).strip("_")
    file = Path(place_of([context.run_id, "pictures", name], "png"))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(picture.png)
    return f"/logs/{context.run_id}/pictures/{name}/png"
