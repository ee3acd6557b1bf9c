"""Lists and maps of Arrow: their elements, sizes and entries, a value a row."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.raw.language import kinds

Places = npt.NDArray[np.int64]


def parts(values: pa.Array) -> tuple[Places, Places, pa.Array]:
    """Where each list starts and ends among the elements, int64 [n] (0, 0 of a null), and the elements."""
    if not (pa.types.is_list(values.type) or pa.types.is_large_list(values.type)):
        values = values.cast(pa.large_list(values.type.value_type))
    offsets = values.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
    there = values.is_valid().to_numpy(zero_copy_only=False)
    return np.where(there, offsets[:-1], 0), np.where(there, offsets[1:], 0), values.values


def element(values: pa.Array, index: int) -> pa.Array:
    """An element of each list, from the end if negative; null beyond."""
    starts, ends, elements = parts(values)
    place = starts + index if index >= 0 else ends + index
    beyond = (place < starts) | (place >= ends)
    return kinds.unified(elements.take(pa.array(np.where(beyond, 0, place), mask=beyond)))


def entry(values: pa.Array, key: str) -> pa.Array:
    """The value of a key in each map; null where it has none."""
    if not len(values) or values.null_count == len(values):
        return pa.nulls(len(values), kinds.unified_type(values.type.item_type))
    return kinds.unified(pc.map_lookup(values, pa.scalar(key, values.type.key_type), "first"))


def sizes(values: pa.Array) -> pa.Array:
    """The number of elements of each list, null of a null."""
    return pc.list_value_length(values).cast(pa.int64())


def contains(values: pa.Array, sought: Any) -> pa.Array:
    """Whether each list has an element that equals `sought`; null of a null."""
    starts, ends, elements = parts(values)
    elements = kinds.unified(elements)
    elements = kinds.as_text(elements) if isinstance(sought, str) else kinds.as_number(elements)
    equal = pc.fill_null(pc.equal(elements, sought), False).to_numpy(zero_copy_only=False)
    before = np.concatenate([[0], np.cumsum(equal)])
    return pa.array(before[ends] > before[starts], mask=values.is_null().to_numpy(zero_copy_only=False))


def joined(values: pa.Array, between: str) -> pa.Array:
    """The elements of each list as one text, those that are null left out; null of a null."""
    starts, ends, elements = parts(values)
    texts = kinds.as_text(kinds.unified(elements))
    there = texts.is_valid().to_numpy(zero_copy_only=False)
    before = np.concatenate([[0], np.cumsum(there)])
    lengths = before[ends] - before[starts]
    owner = np.repeat(np.arange(len(starts)), ends - starts)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(ends - starts) - (ends - starts), ends - starts)
    chosen = np.repeat(starts, ends - starts) + place
    chosen = chosen[there[chosen]] if len(chosen) else chosen
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    lists = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), texts.take(pa.array(chosen, pa.int64())))
    texts = pc.binary_join(lists, between)
    return pc.if_else(values.is_null(), pa.scalar(None, texts.type), texts)
