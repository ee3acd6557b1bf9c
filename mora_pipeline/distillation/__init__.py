"""The distilled encoder: a network from a coordinate to an embedding."""
