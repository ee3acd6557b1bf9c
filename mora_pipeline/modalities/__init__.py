"""Kinds of modalities: what region.yaml says of each, its checks, its job, its encoder."""
