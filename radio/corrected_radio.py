"""A radio whose hardware's faults are undone in its samples."""

from radio.hardware_correction import ReceiveCorrection, TransmitCorrection, predistort, restore
from radio.interface import Radio, RadioConfig, RadioStatus, Samples


class CorrectedRadio:
    """As the radio beneath, for those above. The last step before the converter, and the first behind it: a rotation or
    a delay in between would turn the images.

    A sample beyond full scale is refused, before correction and after it.
    """

    def __init__(
        self,
        radio: Radio,
        transmit: TransmitCorrection | None = None,
        receive: ReceiveCorrection | None = None,
    ) -> None:
        self._radio = radio
        self._transmit, self._receive = transmit or TransmitCorrection(), receive or ReceiveCorrection()

    @property
    def config(self) -> RadioConfig:
        """As `Radio.config`."""
        return self._radio.config

    def configure(self, **settings: float) -> RadioConfig:
        """As `Radio.configure`. The correction stays what it is: it holds for the settings it was made for."""
        return self._radio.configure(**settings)

    def status(self) -> RadioStatus:
        """As `Radio.status`."""
        return self._radio.status()

    def now(self) -> int:
        """As `Radio.now`."""
        return self._radio.now()

    def transmit(self, samples: Samples, at: int) -> None:
        """As `Radio.transmit`."""
        self._radio.transmit(predistort(samples, self._transmit), at)

    def receive(self, at: int, num_samples: int, deadline_s: float) -> Samples:
        """As `Radio.receive`."""
        return restore(self._radio.receive(at, num_samples, deadline_s), self._receive)

    def close(self) -> None:
        """As `Radio.close`."""
        self._radio.close()
