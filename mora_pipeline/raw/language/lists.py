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
    kind, there = values.type, values.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        starts, sizes = (
            each.to_numpy(zero_copy_only=False).astype(np.int64) for each in (values.offsets, values.sizes)
        )
        starts, sizes = np.where(there, starts, 0).astype(np.int64), np.where(there, sizes, 0)
        return starts, starts + sizes, values.values
    if pa.types.is_map(kind):
        values = values.cast(pa.list_(pa.struct([kind.key_field, kind.item_field])))
    elif pa.types.is_fixed_size_list(kind):
        values = values.cast(pa.large_list(kind.value_type))
    offsets = values.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
    return np.where(there, offsets[:-1], 0), np.where(there, offsets[1:], 0), values.values


def element(values: pa.Array, index: int) -> pa.Array:
    """An element of each list, from the end if negative; null beyond."""
    starts, ends, elements = parts(values)
    place = starts + index if index >= 0 else ends + index
    beyond = (place < starts) | (place >= ends)
    return kinds.unified(elements.take(pa.array(np.where(beyond, 0, place), mask=beyond)))


def entry_type(kind: pa.DataType) -> pa.DataType | None:
    """The type of the values of a map by text, or of a list of structs of a key and a value, as some write maps."""
    if pa.types.is_map(kind):
        key, value = kind.key_type, kind.item_type
    elif kinds.kind_of(kind) == kinds.LIST and pa.types.is_struct(kind.value_type) and kind.value_type.num_fields == 2:
        first, second = kind.value_type
        if (first.name, second.name) not in (("key", "value"), ("k", "v")):
            return None
        key, value = first.type, second.type
    else:
        return None
    return kinds.unified_type(value) if kinds.kind_of(key) == kinds.TEXT else None


def entry(values: pa.Array, key: str) -> pa.Array:
    """The first value of a key in each map; null where it has none."""
    starts, ends, entries = parts(values)
    keys, items = entries.flatten()
    matching = pc.fill_null(pc.equal(kinds.unified(keys), key), False).to_numpy(zero_copy_only=False)
    places = np.append(np.flatnonzero(matching), len(matching))
    place = places[np.searchsorted(places, starts)]
    absent = place >= ends
    return kinds.unified(items.take(pa.array(np.where(absent, 0, place), mask=absent)))


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
