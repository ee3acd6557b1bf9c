"""MoRA Pipeline: one 128-d vector per H3 cell from mobility, text, imagery and tables."""
