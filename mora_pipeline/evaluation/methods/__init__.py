"""What a benchmark compares, all through one interface: a name gives vectors, one a cell."""
