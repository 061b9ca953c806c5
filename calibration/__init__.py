"""Estimators of what a channel and its radios do: `estimate_x` returns a frozen result with a quality.

May import radio.
"""
