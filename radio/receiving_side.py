"""The receiving side of a radio that transmits as well: the same radio, on the clock of its receive stream."""

from typing import Protocol

from radio.interface import Radio, RadioConfig, RadioError, RadioStatus, Samples


class FullDuplexRadio(Radio, Protocol):
    """A radio whose `now` is of its transmit stream, as it does both."""

    def latest(self) -> int:
        """Receive index behind the newest sample."""
        ...


class ReceivingSide:
    """Settings are those of the whole radio: tuning moves its transmitter too."""

    def __init__(self, radio: FullDuplexRadio) -> None:
        self._radio = radio

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
        """Index behind the newest sample."""
        return self._radio.latest()

    def transmit(self, samples: Samples, at: int) -> None:
        """RadioError: its other side does."""
        raise RadioError("this side of the radio receives; transmit through the radio itself")

    def receive(self, at: int, num_samples: int, deadline_s: float) -> Samples:
        """As `Radio.receive`."""
        return self._radio.receive(at, num_samples, deadline_s)

    def close(self) -> None:
        """The whole radio."""
        self._radio.close()
