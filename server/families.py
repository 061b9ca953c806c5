"""Arms that are one experiment at several signal-to-noise ratios."""

from collections.abc import Sequence

from server.run_reader import ArmRun

SNR = ("link", "snr_db")


def families(arms: Sequence[ArmRun]) -> list[list[ArmRun]]:
    """Arms that differ in nothing but link.snr_db, together; in the order of their first ones."""
    found: dict[str, list[ArmRun]] = {}
    for arm in arms:
        settings = {
            (table, key): value
            for table, keys in arm.config.items()
            for key, value in keys.items()
            if (table, key) != SNR
        }
        found.setdefault(repr(sorted(settings.items(), key=repr)), []).append(arm)
    return list(found.values())


def leading(arms: Sequence[ArmRun]) -> list[ArmRun]:
    """The first arm of each family: those that are drawn where rounds are the axis."""
    return [family[0] for family in families(arms)]
