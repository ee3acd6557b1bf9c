"""Imagery that covers the region."""
