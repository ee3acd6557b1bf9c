"""Amounts of one region in the columns of another's encoder, by name."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mora_pipeline.contract.amounts import REST, TOTAL, part_of, whole_of
from mora_pipeline.modalities import LoadedModality
from mora_pipeline.modalities.blocks import Vectors


def aligned_amounts(
    modality: LoadedModality, wanted: Sequence[str], mean: Vectors
) -> tuple[LoadedModality, list[str], list[str]]:
    """A modality with the amounts that an encoder asks for.

    A part that the encoder has no column for counts in the rest of its whole, or is left out where there is none. A
    part that the region has no column for is 0 where the region counts a rest of that whole: few cells have the part.
    Where it does not, nothing is known of it, and the encoder's mean says so.

    Args:
        modality: of N cells.
        wanted: names of the encoder's columns.
        mean: of those columns in the encoder's region, float32 [columns].

    Returns:
        The modality with amounts float32 [N, columns]; the names that the encoder does not know, and those of which the
        region knows nothing.
    """
    own = dict(zip(modality.amount_names, modality.amounts.T, strict=True))
    extra = [name for name in own if name not in wanted]
    unknown = []
    amounts = np.empty((len(modality.vectors), len(wanted)), dtype=np.float32)
    for position, name in enumerate(wanted):
        whole = whole_of(name)
        if name in own:
            amounts[:, position] = own[name]
        elif part_of(whole, REST) in own and name != part_of(whole, TOTAL):
            amounts[:, position] = 0
        else:
            amounts[:, position] = mean[position]
            unknown.append(name)
        if name == part_of(whole, REST) and name not in unknown:
            more = [column for part, column in own.items() if part in extra and _is_part(part, whole)]
            total = sum((np.expm1(column.astype(np.float64)) for column in more), np.expm1(amounts[:, position]))
            amounts[:, position] = np.log1p(total)
    return replace(modality, amounts=amounts, amount_names=tuple(wanted)), extra, unknown


def _is_part(name: str, whole: str) -> bool:
    return whole_of(name) == whole and name not in (whole, part_of(whole, TOTAL), part_of(whole, REST))
