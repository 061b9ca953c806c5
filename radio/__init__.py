"""From real vectors to complex amplitudes to samples at an antenna, and back.

Imports numpy and scipy only, and no other room; drivers import theirs late.
"""
