"""Protocols: splits, regressors, intervals."""
