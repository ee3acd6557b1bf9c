"""Labels: read, put on cells, checked for leaks."""
