"""Frozen backbones: from texts, image crops and histograms to one input vector a cell."""
