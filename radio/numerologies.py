"""Numerologies for the sample rates of a testbed, by name; keys as in a configuration's `radio` table.

What bounds them:
- Subcarriers far enough apart for free crystals. A preamble leaves an offset of some 25 Hz (10 dB, 256 samples at
  1 Msamples/s; less at higher rates), the sounding a fraction of a hertz. 2 % of the spacing, which mixes subcarriers
  at -29 dB, is 156 Hz at the narrowest spacing here, 7.8 kHz.
- A prefix for the delays: unknown ones of 3 us between devices have to fit into 3/8 of it (the channel model spans 5/8
  from a window that begins a quarter early), and the few samples by which timing and interpolation may be off.
- Preambles long enough to acquire and sound by. With free crystals at 20 dB, 64/16/48 at 1 Msamples/s lost 1.2 dB of
  `nmse_amplitude_db` against known gains, 128/32/96 and 256/64/192 1.0, the latter with half the spacing; at
  2 Msamples/s 128/32/96 and 256/64/192 both lost 0.9.

4 Msamples/s is about what a Pluto sustains over USB 2; 1 and 2 are for hosts that do less. At 20 Msamples/s, bursts
that fit the radio's own memory: IEEE 802.11's 64/16/52 (0.8 us of prefix) and the 256/64/192 (3.2 us) of Sahin, arXiv
2209.09954, suit radios that a trigger has aligned to a sample. 3 us between devices need 1024/256, which lost 0.9 dB;
shorter prefixes are refused there.
"""

from collections.abc import Mapping

PRESETS: Mapping[str, Mapping[str, float | int]] = {
    "1M": {"sample_rate_hz": 1e6, "fft_len": 128, "prefix_len": 32, "active": 96},
    "2M": {"sample_rate_hz": 2e6, "fft_len": 256, "prefix_len": 64, "active": 192},
    "4M": {"sample_rate_hz": 4e6, "fft_len": 256, "prefix_len": 64, "active": 192},
    "20M": {"sample_rate_hz": 20e6, "fft_len": 1024, "prefix_len": 256, "active": 768},
}
