"""Whether an estimator's errors are what its standard deviations say."""

import numpy as np
from scipy.stats import binom


def white(rng, *shape):
    """E|w|^2 = 1."""
    return rng.normal(scale=np.sqrt(0.5), size=(*shape, 2)).view(complex)[..., 0]


def assert_honest(errors, stds):
    """Of independent settings: unbiased within 3.5 standard errors, and as many of them within 1.96 standard
    deviations as 95 % intervals cover, with a probability of 99.9 % (179 to 198 of 200)."""
    errors, stds = np.asarray(errors, dtype=float), np.asarray(stds, dtype=float)
    assert np.all(np.isfinite(errors))
    standard_error = errors.std(ddof=1) / np.sqrt(len(errors))
    assert abs(errors.mean()) <= 3.5 * standard_error, (errors.mean() / standard_error, errors.mean())
    covered = int(np.count_nonzero(np.abs(errors) <= 1.96 * stds))
    fewest, most = binom.ppf(0.0005, len(errors), 0.95), binom.ppf(0.9995, len(errors), 0.95)
    assert fewest <= covered <= most, f"{covered} of {len(errors)}, allowed {fewest:g} to {most:g}"
