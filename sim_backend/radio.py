"""`SimRadio`: the Radio protocol over the in-process air."""

from dataclasses import fields, replace

from radio.interface import LateError, RadioConfig, RadioError, RadioStatus, Samples
from sim_backend.air import Air


class SimRadio:
    """One radio on an air. Its clock reads `clock_offset` when the air's reads 0.

    Time advances only when somebody receives; a burst that would start before that instant is late.
    """

    def __init__(self, air: Air, port: int, config: RadioConfig, clock_offset: int = 0) -> None:
        self._air, self._port, self._config, self._offset = air, port, config, clock_offset
        self._open = True

    @property
    def config(self) -> RadioConfig:
        """What was accepted."""
        return self._config

    def configure(self, **settings: float) -> RadioConfig:
        """The simulated front end has unit gain at one rate and one frequency: other values are refused."""
        known = {field.name for field in fields(RadioConfig)}
        for name, value in settings.items():
            if name not in known:
                raise RadioError(f"unknown radio setting {name!r}; known: {', '.join(sorted(known))}")
            if value != getattr(self._config, name):
                raise RadioError(
                    f"simulated radio {self._port}: {name} is fixed at {getattr(self._config, name)}, asked for {value}"
                )
        self._config = replace(self._config, **settings)
        return self._config

    def status(self) -> RadioStatus:
        """A simulated radio never changes epoch."""
        return RadioStatus(epoch=0, serial=f"sim-{self._port}", firmware="airmeta simulated radio")

    def now(self) -> int:
        """Earliest index that can still be scheduled."""
        return self._air.now + self._offset

    def transmit(self, samples: Samples, at: int) -> None:
        """Raises LateError, FullScaleError, RadioError for overlapping bursts or a closed radio."""
        self._check_open()
        if at < self.now():
            raise LateError(
                f"simulated radio {self._port}: burst at {at} is late, the clock reads {self.now()}"
            )
        self._air.transmit(self._port, samples, at - self._offset)

    def receive(self, at: int, num_samples: int, deadline_s: float) -> Samples:
        """Virtual time passes as far as it must, so the deadline is always met."""
        self._check_open()
        if at < self._offset:
            raise RadioError(
                f"simulated radio {self._port}: index {at} lies before the epoch's start {self._offset}"
            )
        return self._air.receive(at - self._offset, num_samples)

    def close(self) -> None:
        """Bursts already on the air fade out; nothing new leaves."""
        self._open = False

    def _check_open(self) -> None:
        if not self._open:
            raise RadioError(f"simulated radio {self._port} is closed")
