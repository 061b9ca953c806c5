"""Rounds: broadcast, sound, receive, decode, update, record. May import calibration, radio, and of devices
messages and proxy only; never torch."""
