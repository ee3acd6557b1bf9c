"""Which assets a user's ``--select`` names."""

import warnings
from typing import TYPE_CHECKING

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import did_you_mean

if TYPE_CHECKING:
    from dagster import AssetKey


def selected_assets(select: str) -> list["AssetKey"]:
    """The assets of the main job that a selection names, by name.

    Args:
        select: names, separated by commas, or Dagster's selection syntax (``embeddings+``, ``group:evaluation``).

    Raises:
        UserError: if a name is not an asset's, or nothing is selected.
    """
    import dagster as dg

    from mora_pipeline.definitions import defs

    graph = defs.resolve_asset_graph()
    known = {key.to_user_string() for key in graph.materializable_asset_keys}
    assets = f"Assets are {', '.join(sorted(known))}."
    chosen: set[dg.AssetKey] = set()
    for part in filter(None, (part.strip() for part in select.split(","))):
        try:
            with warnings.catch_warnings(action="ignore", category=dg.BetaWarning):
                keys = dg.AssetSelection.from_string(part).resolve(graph) & graph.materializable_asset_keys
        except Exception as error:  # the parser has a dozen kinds
            raise UserError(
                f"--select {part}: no such asset, group or selection. {assets}{did_you_mean(part, known)}"
            ) from error
        if not keys:
            raise UserError(f"--select {part} selects nothing. {assets}{did_you_mean(part, known)}")
        chosen |= keys
    if not chosen:
        raise UserError(f"--select is empty. {assets}")
    return sorted(chosen)
