"""What each column of our datasets holds, with its unit: for the UI and for readers of the files."""

import re

import pyarrow as pa

from mora_pipeline.contract.rhythm import RHYTHM_COLUMNS

_DIRECTIONS = {"arrivals": "Moves into the cell", "departures": "Moves out of the cell", "stays": "Moves inside it"}


def _rhythm_column(name: str) -> str:
    direction, day, start, end = re.fullmatch(r"([a-z]+)_([a-z]+)_(\d\d)_(\d\d)", name).groups()  # type: ignore[union-attr]
    days = "Monday to Friday" if day == "weekday" else "Saturday and Sunday"
    return f"{_DIRECTIONS[direction]} that begin on {days} from {start} to before {end} h, local time (moves)."


DESCRIPTIONS = {
    "cell": "H3 cell, as an integer.",
    "h3": "H3 cell, as 15 hexadecimal digits.",
    "node": "Number of the cell's row, from 0 on: its node in the graph.",
    "latitude": "Latitude of the cell's centre (degrees north, WGS 84).",
    "longitude": "Longitude of the cell's centre (degrees east, WGS 84).",
    "internal_flow": "Flow that begins and ends in the cell (moves; people, where the source counts people).",
    "population": "People who live in the cell; null where no source says.",
    "vector": "The cell's numbers for models: float32, of one length in all rows, without a unit.",
    "familiarity": "How like the cell is to those that the encoder was fitted to: 0 unlike, 1 alike; null without one.",
    "weight": "Sum of the weights of the places in the cell, without a unit.",
    "origin": "H3 cell, as an integer, where the moves begin.",
    "destination": "H3 cell, as an integer, where the moves end.",
    "flow": "Moves from origin to destination, above 0 (people, where the source counts people).",
    "users": "Different users among the moves; null where the source names none.",
    "text_id": "Number of a text together with its category.",
    "text": "The text as the encoder reads it: a name of a place, or a description.",
    "category": "Category of the place; null where the source has none.",
    "count": "Places with this text in the cell, by their share where a place is in several cells.",
    "left": "First column of the cell's window in the mosaic (pixels).",
    "top": "First row of the cell's window in the mosaic (pixels).",
    "right": "Column after the last one of the cell's window in the mosaic (pixels).",
    "bottom": "Row after the last one of the cell's window in the mosaic (pixels).",
    "coverage": "Share of the cell that has data, from 0 to 1.",
    "source": "File that the bad row is from.",
    "reason": "Why the row is not used.",
    "row": "The row as text.",
    "method": "Whose vectors were scored: mora, or a baseline's name.",
    "task": "Label that a model predicts from the vectors; mean: over the tasks that all methods have.",
    "split": "How cells were held out: random, or whole blocks of the map.",
    "seed": "Seed of the split and of the model.",
    "model": "Model that predicts the label from the vectors.",
    "n": "Cells held out, on which the model was scored.",
    "r2": "R² on the held-out cells: 1 is perfect, 0 as good as the mean; null where it is not defined.",
    "rmse": "Root of the mean squared error on the held-out cells, in the label's own unit.",
    "low": "Lower end of the 95 % interval of r2.",
    "high": "Upper end of the 95 % interval of r2.",
    "baseline": "The best baseline, which `difference` is measured against.",
    "difference": "How far R² is above that of the best baseline; of ablations, above that of the base variant.",
    "difference_low": "Lower end of the 95 % interval of difference.",
    "difference_high": "Upper end of the 95 % interval of difference.",
    "mora_ahead": "How far mora's R² is above that of this method; null for mora itself.",
    "mora_ahead_low": "Lower end of the 95 % interval of mora_ahead.",
    "mora_ahead_high": "Upper end of the 95 % interval of mora_ahead.",
    "by_cells": "Whether single cells, not whole blocks, were drawn for the interval.",
    "truth": "The label's value, in its own unit.",
    "predicted": "What the model predicts for it, in the same unit.",
    "family": "Which part of the method the variant changes.",
    "variant": "Name of the change; base is the method as it is.",
    "held_out": "Whether the network saw the cell only when it was scored.",
    **{name: _rhythm_column(name) for name in RHYTHM_COLUMNS},
}


def description_of(field: pa.Field) -> str | None:
    """What a column holds; None for one that a region.yaml names itself (a bin, a sum, a raster's band)."""
    return DESCRIPTIONS.get(field.name)
