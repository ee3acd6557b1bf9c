"""Presets: ways to make embeddings."""
