"""The inductive encoder: a cell's vector from what is known of the cell and its surroundings, not from a table."""
