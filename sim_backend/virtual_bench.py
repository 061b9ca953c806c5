"""Virtual Plutos on loopback addresses of their own, all on one air, as a context manager."""

import errno
import ipaddress
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType

from radio.interface import RadioError
from radio.measured_air import MeasuredAir
from sim_backend.iiod import PORT, IiodServer
from sim_backend.pluto_context import PlutoModel
from sim_backend.pluto_station import StationEngine
from sim_backend.stream_air import StreamAirConfig
from sim_backend.streaming import Engine
from sim_backend.timeline import Pace
from sim_backend.virtual_pluto import VirtualPluto


class VirtualBench:
    """Serves from construction to `close`. uris: one a radio, in order; engine: the air, for those who look behind it.

    model: of the first radio, the others count on from its number. Raises RadioError for an address that is taken,
    ValueError for one that is not loopback, unless beyond_loopback.
    """

    def __init__(
        self,
        num_radios: int,
        air: StreamAirConfig,
        *,
        pace: Pace = "virtual",
        patience_s: float = 1.0,
        model: PlutoModel | None = None,
        first_host: str = "127.0.0.2",
        port: int = PORT,
        beyond_loopback: bool = False,
    ) -> None:
        model = PlutoModel() if model is None else model
        first = ipaddress.ip_address(first_host)
        seed = 0 if isinstance(air.impairments, MeasuredAir) else air.seed  # given hardware is not drawn
        with ExitStack() as opening:
            config = replace(air, num_channels=model.num_channels)
            self.engine = opening.enter_context(Engine(config, num_radios, pace=pace, patience_s=patience_s))
            self._servers = []
            for radio in range(num_radios):
                own = replace(model, number=model.number + radio, seed=seed)
                pluto = VirtualPluto(StationEngine(self.engine, radio, air.seed), own)
                server = IiodServer(pluto, str(first + radio), port, beyond_loopback=beyond_loopback)
                self._servers.append(_serve(opening, server))
            self._closing = opening.pop_all()
        self.uris = tuple(server.uri for server in self._servers)

    def unplug(self, radio: int) -> None:
        """Its network cable: whoever is connected is cut off, and nobody is served any more."""
        self._servers[radio].close()

    def pulse_trigger(self) -> None:
        """An edge on the trigger line: frame engines that listen to it begin at the same instant."""
        self.engine.pulse()

    def close(self) -> None:
        """All ports closed, all threads ended; twice is as good as once."""
        self._closing.close()

    def __enter__(self) -> "VirtualBench":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _serve(opening: ExitStack, server: IiodServer) -> IiodServer:
    try:
        return opening.enter_context(server)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise RadioError(
                f"{server.host} port {server.port} is taken, perhaps by virtual radios that still run; "
                "stop these, or choose another first address"
            ) from error
        raise RadioError(
            f"cannot listen on {server.host} port {server.port}: {error.strerror}; choose addresses of this machine"
        ) from error
