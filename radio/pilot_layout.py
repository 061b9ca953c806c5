"""Which pilots the devices of a sounding slot send: shifts side by side in a symbol, groups under covers."""

from radio.ofdm import OfdmConfig
from radio.zadoff_chu import JointSounding

MIN_SHIFT = 16  # samples; paths between samples have tails that reach across narrower ones


def num_channel_taps(ofdm: OfdmConfig) -> int:
    """Span of the channel model, from the window's start: the lead and most of the delay spread a prefix allows."""
    return max(1, min(5 * ofdm.prefix_len // 8, ofdm.num_active // 2))


def devices_per_symbol(ofdm: OfdmConfig) -> int:
    """Devices that lie side by side in one symbol: 4 where the prefix is a quarter of it."""
    num_taps = num_channel_taps(ofdm)
    shift_samples = max(MIN_SHIFT, -(-num_taps * ofdm.fft_len // ofdm.num_active))
    fitting = ofdm.fft_len // shift_samples
    return min(
        fitting, max(1, (ofdm.num_active - 1) // num_taps)
    )  # some values have to be left to measure noise


def pilot_layout(num_devices: int, num_symbols: int, ofdm: OfdmConfig, free_clocks: bool) -> JointSounding:
    """Who is where. Raises ValueError for more devices than the symbols carry.

    Free clocks turn covers into each other: then the fewest covers that carry all. On a shared reference shifts are
    only half as dense, or neighbours' windows would cost accuracy above 20 dB, while every other cover stays unused.
    """
    together = devices_per_symbol(ofdm)
    if num_devices > num_symbols * together:
        raise ValueError(
            f"{num_devices} devices sound at once, but {num_symbols} pilot symbols carry {num_symbols * together} "
            f"({together} a symbol with radio.fft_len = {ofdm.fft_len} and radio.prefix_len = {ofdm.prefix_len}); "
            f"lower fleet.active to at most {num_symbols * together}, or make the prefix a smaller part of the symbol"
        )
    num_covers = -(-num_devices // together)
    if not free_clocks:
        num_covers = max(num_covers, min(num_symbols // 2, -(-2 * num_devices // together)))
    return JointSounding(
        num_devices=num_devices,
        num_symbols=num_symbols,
        num_covers=num_covers,
        shift_samples=ofdm.fft_len // -(-num_devices // num_covers),
        num_taps=num_channel_taps(ofdm),
        ofdm=ofdm,
    )
