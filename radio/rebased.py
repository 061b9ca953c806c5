"""A radio on a clock whose index 0 is an instant of one's own choosing."""

from radio.interface import EpochError, Radio, RadioConfig, RadioStatus, Samples


class RebasedRadio:
    """Indices of a radio count from where it was powered up, and in later epochs from further away than a float64 can
    hold to a fraction of a sample. Those here count from the last `restart`, and end with the radio's epoch."""

    def __init__(self, radio: Radio) -> None:
        self._radio = radio
        self._origin: int | None = None
        self._epoch = -1

    def restart(self) -> None:
        """Index 0 is the earliest that can be scheduled now."""
        self._epoch = self._radio.status().epoch
        self._origin = self._radio.now()

    @property
    def has_ended(self) -> bool:
        """Whether there is no clock yet, or its epoch is over."""
        return self._origin is None or self._radio.status().epoch != self._epoch

    @property
    def origin(self) -> int:
        """The radio's own index where the clock reads 0. EpochError before the first `restart`."""
        if self._origin is None:
            raise EpochError("the radio's clock has not been met yet; hold a meeting first")
        return self._origin

    @property
    def config(self) -> RadioConfig:
        """What the hardware accepted."""
        return self._radio.config

    def configure(self, **settings: float) -> RadioConfig:
        """As `Radio.configure`."""
        return self._radio.configure(**settings)

    def status(self) -> RadioStatus:
        """As `Radio.status`."""
        return self._radio.status()

    def now(self) -> int:
        """Earliest index that can still be scheduled."""
        return self._radio.now() - self.origin

    def transmit(self, samples: Samples, at: int) -> None:
        """As `Radio.transmit`; also EpochError once the epoch is over."""
        if self.has_ended:
            raise EpochError("the radio has begun a new epoch since its clock was met; hold a meeting")
        self._radio.transmit(samples, at + self.origin)

    def receive(self, at: int, num_samples: int, deadline_s: float) -> Samples:
        """As `Radio.receive`; also EpochError once the epoch is over."""
        if self.has_ended:
            raise EpochError("the receiver has begun a new epoch; all devices have to be met anew")
        return self._radio.receive(at + self.origin, num_samples, deadline_s)

    def close(self) -> None:
        """As `Radio.close`."""
        self._radio.close()
