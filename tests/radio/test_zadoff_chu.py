import numpy as np
import pytest

from radio.ofdm import OfdmConfig, demodulate, modulate
from radio.zadoff_chu import JointSounding, separate_joint, sounding_amplitudes, zadoff_chu

OFDM = OfdmConfig()
# (num_devices, num_symbols, shift_samples, num_taps, fft_len)
LAYOUTS = [(1, 1, 64, 32, 256), (2, 1, 64, 32, 256), (8, 1, 32, 16, 256), (8, 2, 64, 32, 256), (32, 4, 32, 16, 256),
           (32, 2, 16, 8, 256), (32, 1, 16, 8, 512), (5, 2, 32, 16, 256)]  # fmt: skip


def white(rng, *shape):
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) / np.sqrt(2)


def layout(num_devices, num_symbols, shift_samples, num_taps, fft_len=256, **changes):
    ofdm = OfdmConfig(fft_len=fft_len, prefix_len=fft_len // 4, num_active=3 * fft_len // 4)
    changes = {"num_covers": min(num_devices, num_symbols)} | changes
    return JointSounding(
        num_devices=num_devices, num_symbols=num_symbols, shift_samples=shift_samples, num_taps=num_taps,
        ofdm=ofdm, **changes,
    )  # fmt: skip


def sent(sounding):
    return np.stack([sounding_amplitudes(sounding, i) for i in range(sounding.num_devices)])


def drawn_channels(rng, sounding, delays):
    half = sounding.ofdm.num_active // 2
    responses = np.exp(-2j * np.pi * delays[..., None] * np.r_[-half:0, 1 : half + 1] / sounding.ofdm.fft_len)
    return np.einsum("dt,dtk->dk", white(rng, *delays.shape) / np.sqrt(delays.shape[1]), responses)


@pytest.mark.parametrize("length", [63, 192, 193, 384])
def test_zadoff_chu_is_flat_in_both_domains(length):
    sequence = zadoff_chu(length, root=5)
    np.testing.assert_allclose(np.abs(sequence), 1.0, rtol=1e-12)
    np.testing.assert_allclose(np.abs(np.fft.fft(sequence, norm="ortho")), 1.0, rtol=1e-9)


@pytest.mark.parametrize("numbers", LAYOUTS)
def test_devices_behind_delays_and_several_paths_are_separated_exactly(rng, numbers):
    sounding = layout(*numbers)
    delays = rng.integers(0, sounding.num_taps, size=(sounding.num_devices, 3))
    channels = drawn_channels(rng, sounding, delays)
    joint = separate_joint(np.einsum("isk,ik->sk", sent(sounding), channels), sounding)
    # amplitudes are complex64 (6e-8), and the fit multiplies that by at most its condition, some hundreds
    np.testing.assert_allclose(joint.gains, channels, atol=2e-5)
    assert joint.noise_variance < 1e-10


@pytest.mark.parametrize("numbers", [(1, 1, 64, 32, 256), (8, 1, 32, 16, 256), (32, 4, 32, 16, 256)])
@pytest.mark.parametrize("noise_variance", [1.0, 1e-2])
def test_noise_and_errors_are_as_predicted(rng, numbers, noise_variance):
    sounding, errors, predicted, noises = layout(*numbers), [], [], []
    amplitudes = sent(sounding)
    for _ in range(60):
        delays = np.tile(np.arange(sounding.num_taps), (sounding.num_devices, 1))
        channels = drawn_channels(rng, sounding, delays)
        received = np.einsum("isk,ik->sk", amplitudes, channels)
        joint = separate_joint(received + np.sqrt(noise_variance) * white(rng, *received.shape), sounding)
        errors.append(np.mean(np.abs(joint.gains - channels) ** 2))
        predicted.append(joint.error_variances.mean())
        noises.append(joint.noise_variance)
    # at least 60 x 32 free values: 2 %, and the measured tap power varies with few taps
    assert np.mean(errors) == pytest.approx(np.mean(predicted), rel=0.1)
    assert np.mean(noises) == pytest.approx(noise_variance, rel=0.04)
    ideal = noise_variance * sounding.num_taps / sounding.ofdm.num_active / sounding.num_symbols
    assert np.mean(errors) < 1.6 * ideal  # what a device alone would have, plus what guard bands cost: 2 dB


def test_over_samples_a_fraction_of_delay_and_the_prefix_are_no_trouble(rng):
    sounding = layout(8, 2, 64, 32)
    taps = np.zeros((8, 24), complex)
    taps[:, :6] = white(rng, 8, 6) / np.sqrt(6)
    bursts = [modulate(sounding_amplitudes(sounding, i), sounding.ofdm) for i in range(8)]
    received = sum(np.convolve(burst, tap)[: len(burst)] for burst, tap in zip(bursts, taps, strict=True))
    joint = separate_joint(demodulate(received.astype(np.complex64), sounding.ofdm), sounding)
    truth = np.fft.fft(taps, sounding.ofdm.fft_len, axis=1)[:, sounding.ofdm.active_bins]
    np.testing.assert_allclose(
        joint.gains, truth, atol=1e-3
    )  # complex64 times the condition of 32 of 64 taps
    between = drawn_channels(rng, sounding, rng.uniform(8.0, 24.0, size=(8, 3)))
    joint = separate_joint(np.einsum("isk,ik->sk", sent(sounding), between), sounding)
    assert np.mean(np.abs(joint.gains - between) ** 2) < 1e-6  # sinc tails beyond the window: below -60 dB


@pytest.mark.parametrize(("num_symbols", "leakage_db"), [(1, -29.0), (2, -21.0), (4, -15.0)])
def test_offsets_of_two_percent_leak_as_little_as_documented(rng, num_symbols, leakage_db):
    sounding, errors = layout(8, num_symbols, 32, 16), []
    bursts = np.stack([modulate(sounding_amplitudes(sounding, i), OFDM) for i in range(8)])
    bodies = np.arange(bursts.shape[1]).reshape(num_symbols, -1)[:, OFDM.prefix_len :]
    centred = (
        np.arange(bursts.shape[1]) - bodies.mean()
    )  # the truth is the channel at the bodies' mean instant
    for _ in range(20):
        signs, channels = rng.choice([-1, 1], size=8), np.exp(2j * np.pi * rng.random(8))
        turns = np.exp(2j * np.pi * 0.02 / OFDM.fft_len * np.outer(signs, centred))
        joint = separate_joint(demodulate(np.einsum("i,in->n", channels, bursts * turns), OFDM), sounding)
        errors.append(np.mean(np.abs(joint.gains - channels[:, None]) ** 2))
    assert 10 * np.log10(np.mean(errors)) < leakage_db + 1  # 20 slots of random signs scatter


@pytest.mark.parametrize("num_covers", [2, 3, 8])
def test_covers_lie_as_far_apart_as_can_be_and_separate_exactly(num_covers, rng):
    sounding = layout(8, 8, 256 // -(-8 // num_covers), 20, num_covers=num_covers)
    numbers = [sounding.place(device)[0] for device in range(8)]
    assert sorted(set(numbers)) == {2: [0, 4], 3: [0, 2, 5], 8: list(range(8))}[num_covers]
    channels = drawn_channels(rng, sounding, rng.integers(0, 20, size=(8, 3)))
    joint = separate_joint(np.einsum("isk,ik->sk", sent(sounding), channels), sounding)
    np.testing.assert_allclose(joint.gains, channels, atol=2e-5)


def test_every_device_sends_unit_magnitudes_and_low_peaks():
    sounding = layout(32, 4, 32, 16)
    np.testing.assert_allclose(np.abs(sent(sounding)), 1.0, rtol=1e-6)
    body = modulate(sounding_amplitudes(sounding, 3), sounding.ofdm)
    peak_to_average_db = 10 * np.log10(np.max(np.abs(body) ** 2) / np.mean(np.abs(body) ** 2))
    assert peak_to_average_db < 5.0  # QPSK on as many subcarriers has about 9


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((0, 1, 32, 16), "num_devices and num_symbols must be at least 1, got 0, 1"),
        ((32, 2, 32, 16), "32 devices under 2 covers are 16 a symbol, but only 8 shifts of 32 samples fit into"),
        ((8, 1, 32, 24), "8 devices of 24 taps explain any 192 values of a symbol and leave none to measure noise"),
        ((8, 1, 32, 25), r"num_taps must be in \[1, 24\] .* got 25; use wider shifts"),
    ],
)  # fmt: skip
def test_layouts_that_cannot_be_separated_are_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        layout(*numbers)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match=r"num_covers must be in \[1, 2\] .* got 3"):
        layout(2, 8, 64, 32, num_covers=3)
    with pytest.raises(ValueError, match="root must be coprime to num_active 192, got 2"):
        layout(1, 1, 64, 32, root=2)
    sounding = layout(2, 1, 64, 32)
    with pytest.raises(ValueError, match=r"device must be in \[0, 1\], got 2"):
        sounding_amplitudes(sounding, 2)
    with pytest.raises(ValueError, match=r"received must have shape \(1, 192\)"):
        separate_joint(np.zeros((2, 192)), sounding)


def test_an_empty_slot_is_all_zero():
    joint = separate_joint(np.zeros((1, 192), complex), layout(2, 1, 64, 32))
    assert joint.noise_variance == 0.0
    np.testing.assert_array_equal(joint.gains, 0.0)
