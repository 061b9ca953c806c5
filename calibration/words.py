"""What a calibration's numbers mean, and what to do about them, in words that a person can act on."""

import math

from calibration.profile import ComplexEntry, DeviceProfile, Entry
from radio.decibel import to_db

WEAK_SNR_DB, POOR_SNR_DB = 15.0, 5.0
STRONG_IMAGE_DB = -30.0
STRONG_LEAKAGE_DB = -35.0  # relative to full scale, some 20 dB below a payload
CERTAIN = 4.0  # standard deviations
SAME_HZ, SAME_WALK_HZ = 0.5, 0.05  # of devices on one reference, with room for paths that move
SHORT_COHERENCE_S = 10e-3
LOUD_PHASE_NOISE_DEG = 3.0
EARLY_COMPRESSION_DB = -6.0
ASYMMETRIC_DB = 10.0  # more than what chips differ by, at like settings

ROWS = {
    "snr_db": ("SNR (dB)", "Power of a resource element of the payload over the noise on it."),
    "gain_db": ("gain (dB)", "From the transmitter's samples to the receiver's, both in full scales."),
    "phase_rad": ("phase (rad)", "Of the channel at the carrier while its probe lasted."),
    "delay_s": ("delay (s)", "Of the paths' mean; of radios that start by themselves, since then."),
    "cfo_hz": ("carrier offset (Hz)", "The device's carrier as received, minus the receiver's."),
    "sro_ppm": ("sample clock offset (ppm)", "From delays alone. With one crystal it agrees with the carrier's."),
    "drift_hz_per_root_s": ("frequency walk (Hz/root s)", "Random walk of the carrier's frequency."),
    "delay_spread_s": ("delay spread (s)", "Root mean square, of the paths' power over delay."),
    "coherence_bandwidth_hz": ("coherence bandwidth (Hz)", "Distance at which two subcarriers fade apart."),
    "coherence_time_s": ("coherence time (s)", "Lag at which the channel has lost a tenth of its correlation."),
    "longest_burst_s": ("longest burst (s)", "After a sounding until a coherent sum loses 0.1 dB through phases."),
    "doppler_hz": ("Doppler (Hz)", "Of what fades, where something does."),
    "rician_k_db": ("line of sight (dB)", "What stands still over what fades."),
    "phase_noise_deg": ("phase noise (degrees)", "Root mean square, of the oscillators against each other."),
    "phase_noise_corner_hz": ("phase noise corner (Hz)", "Where its spectrum begins to fall."),
    "jitter_s": ("jitter (s)", "How far a burst arrives from where the last ones did, root mean square."),
    "start_s": ("start (s)", "From asking it to send to hearing it."),
    "start_jitter_s": ("start jitter (s)", "How much that differs from time to time, root mean square."),
    "reciprocity_error_db": ("not reciprocal (dB)", "What of the way back is not the way there, over all of it."),
    "reciprocity_gain_db": ("back against there (dB)", "Gain from the receiver to the device, over the other way's."),
    "crosstalk_db": ("crosstalk (dB)", "What of it appears in another device's place, over itself; the most."),
    "image": ("image (dB)", "Mirrored signal of the transmitter's mixer, relative to the signal."),
    "leakage": ("carrier leakage (dBFS)", "Of the transmitter's oscillator, relative to full scale."),
    "compression_db": ("1 dB point (dBFS)", "Level at which the amplifier gives 1 dB less than it should."),
    "saturation_db": ("saturation (dBFS)", "Rapp's model: level that the output approaches."),
    "gain_slope": ("gain steps (dB/dB)", "How much the power changes for a decibel of the setting."),
}  # fmt: skip

RECEIVER_ROWS = {
    "noise_dbfs": ("noise (dBFS)", "In all of the sampled bandwidth."),
    "disturbance_dbfs": ("noise and others (dBFS)", "With what others send in the band."),
    "dc": ("DC (dBFS)", "The receiver's own offset."),
    "image": ("image (dB)", "Mirrored signal of the receiver's mixer, relative to the signal."),
    "gain_slope": ("gain steps (dB/dB)", "How much what is heard changes for a decibel of the receive gain."),
}


def shown(name: str, entry: Entry | ComplexEntry) -> str:
    """A value and its interval, as a cell of a table."""
    if isinstance(entry, ComplexEntry):
        return _shown_complex(entry)
    if entry.bound:
        return f"{'above' if entry.bound == 'lower' else 'below'} {engineering(entry.value)}"
    largest = max(abs(entry.low), abs(entry.high))
    if not math.isfinite(largest):
        return f"{engineering(entry.value)} (unknown)"
    scale, prefix = prefix_of(largest)
    decimals = _decimals((entry.high - entry.low) / 2.0 / scale)
    value, low, high = (f"{each / scale:.{decimals}f}" for each in (entry.value, entry.low, entry.high))
    return f"{value} ({low} to {high}){prefix}"


def rounded(entry: Entry) -> str:
    """To the second digit that its interval leaves doubtful."""
    doubt = (entry.high - entry.low) / 2.0
    return f"{entry.value:.{_decimals(doubt)}f}" if 0.0 < doubt < math.inf else f"{entry.value:.4g}"


def engineering(value: float) -> str:
    """Three or four digits that matter, with a prefix of thousands."""
    if value == 0.0 or not math.isfinite(value):
        return f"{value:g}"
    scale, prefix = prefix_of(abs(value))
    return f"{value / scale:.4g}{prefix}"


def prefix_of(magnitude: float) -> tuple[float, str]:
    """(scale, prefix with a space before it) for numbers of up to a magnitude; none where digits do as well."""
    if magnitude == 0.0 or 0.01 <= magnitude < 1e4:
        return 1.0, ""
    exponent = min(max(3 * math.floor(math.log10(magnitude) / 3.0), -12), 9)
    return 10.0**exponent, " " + {-12: "p", -9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}[
        exponent
    ]


def _decimals(doubt: float) -> int:
    return min(max(1 - math.floor(math.log10(doubt)), 0), 6) if 0.0 < doubt < math.inf else 3


def _shown_complex(entry: ComplexEntry) -> str:
    power, noise = abs(entry.value) ** 2, entry.std**2
    if power < 4.0 * noise:
        return f"below {to_db(power + 4.0 * noise):.1f}"
    doubt = 1.96 * 10.0 / math.log(10.0) * math.sqrt(2.0 * noise / power)
    return f"{to_db(power):.1f} ({to_db(power) - doubt:.1f} to {to_db(power) + doubt:.1f})"


def judge(device: DeviceProfile, shared_clock: bool, missing: str) -> list[tuple[str, str]]:
    """(what is wrong, what to do) of a device in plain words; nothing of a good one. missing: why it was not heard."""
    if missing:
        return [("not heard", missing)]
    faults = _clock_faults(device, shared_clock)
    snr_db = device.snr_db.value if device.snr_db else math.inf
    if snr_db < POOR_SNR_DB:
        faults.append(
            (
                f"too weak, SNR {snr_db:.1f} dB",
                "check its cable or antenna, raise its tx_gain_db or rx_gain_db",
            )
        )
    elif snr_db < WEAK_SNR_DB:
        faults.append(
            (f"weak, SNR {snr_db:.1f} dB", "raise its tx_gain_db, or lower the others' until all are alike")
        )
    for name, limit_db, what in (
        ("image", STRONG_IMAGE_DB, "image"),
        ("leakage", STRONG_LEAKAGE_DB, "carrier leakage"),
    ):
        entry = getattr(device, name)
        level_db = to_db(abs(entry.value) ** 2) if entry is not None and entry.value else -math.inf
        if level_db > limit_db and abs(entry.value) > 2.0 * entry.std:
            faults.append(
                (f"{what} {level_db:.0f} dB", "name this profile in radio.profile, which undoes it")
            )
    time_s = device.coherence_time_s
    if time_s is not None and not time_s.bound and time_s.value < SHORT_COHERENCE_S:
        faults.append(
            (
                f"channel holds for {1e3 * time_s.value:.1f} ms only",
                "keep gap and payload shorter, or use reed",
            )
        )
    noise = device.phase_noise_deg
    if noise is not None and not noise.bound and noise.value > LOUD_PHASE_NOISE_DEG:
        faults.append((f"phase noise {noise.value:.1f} degrees", "use a better reference, or radio.pilots"))
    point = device.compression_db
    if point is not None and not point.bound and point.value < EARLY_COMPRESSION_DB:
        faults.append((f"compresses at {point.value:.1f} dBFS", "raise link.backoff_db, or lower tx_gain_db"))
    back = device.reciprocity_gain_db
    if back is not None and abs(back.value) > ASYMMETRIC_DB:
        ports = ("transmit", "receive") if back.value > 0.0 else ("receive", "transmit")
        faults.append(
            (
                f"{abs(back.value):.0f} dB {'more' if back.value > 0.0 else 'less'} back from the receiver than there",
                f"see that its {ports[0]} port is connected; where all devices are so, the receiver's {ports[1]} port",
            )
        )
    return faults


def _clock_faults(device: DeviceProfile, shared_clock: bool) -> list[tuple[str, str]]:
    faults = []
    offset, walk = device.cfo_hz, device.drift_hz_per_root_s
    locked = (
        'see that its reference input is connected and its PLL has locked, or set radio.reference = "free"'
    )
    if shared_clock and offset is not None and abs(offset.value) > max(CERTAIN * offset.std, SAME_HZ):
        faults.append((f"its carrier is {offset.value:.1f} Hz off a reference that should be shared", locked))
    elif shared_clock and walk is not None and not walk.bound and walk.value > SAME_WALK_HZ:
        faults.append(
            (f"its phase wanders, {walk.value:.2f} Hz a root second, on a shared reference", locked)
        )
    if device.clock_disagreement_std is not None and abs(device.clock_disagreement_std) > CERTAIN:
        faults.append(
            (
                "carrier and sample clock disagree",
                "see that one reference drives both, and that its PLL has locked",
            )
        )
    return faults
