"""Aggregation schemes: one a file, its encode and its decode side by side."""
