"""Texts at points, such as POIs."""
