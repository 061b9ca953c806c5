"""Numerologies for property tests: everything that a configuration may ask for, kept small enough to be quick."""

from hypothesis import strategies as st

from radio.ofdm import OfdmConfig


@st.composite
def numerologies(draw):
    fft_len = draw(st.one_of(st.sampled_from([64, 128, 200, 256, 1024, 4096]), st.integers(64, 4096)))
    num_active = 2 * draw(st.integers(1, (fft_len - 2) // 2))
    return OfdmConfig(
        fft_len=fft_len,
        prefix_len=draw(st.integers(0, fft_len)),
        num_active=num_active,
        num_pilots=2 * draw(st.integers(0, num_active // 4)),
        interleave=draw(st.booleans()),
        precoding=draw(st.booleans()),
    )
