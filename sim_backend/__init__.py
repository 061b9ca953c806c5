"""The air: many transmitters superposed at a receiver on a virtual clock. May import radio.

Imported by composition roots (`__main__`) and tests only.
"""
