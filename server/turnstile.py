"""A listening socket that can be shut and opened again, while connections that exist go on.

libzmq accepts everybody, and gives each connection a descriptor, buffers and some seconds to show a key. A crowd of
strangers would so use up what the run opens its own files with. While the turnstile is shut the kernel drops what
arrives for the listening socket, before there is a connection; who knocks again when it is open gets in.
"""

import ctypes
import socket
import struct
import sys

BACKLOG = 64  # connections that are made before anybody accepts them
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27  # asm-generic/socket.h; Python does not name them
DROP_ALL = struct.pack(
    "HBBI", 0x06, 0, 0, 0
)  # struct sock_filter of linux/filter.h: BPF_RET | BPF_K, no byte passes


class Turnstile:
    """Listens at host and port, 0 for one that the system chooses. OSError."""

    def __init__(self, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server(
            (host, port), family=family, backlog=BACKLOG, dualstack_ipv6=family == socket.AF_INET6
        )
        self._socket.setblocking(False)
        self.is_open = True

    @property
    def descriptor(self) -> int:
        """Of the listening socket."""
        return self._socket.fileno()

    def set_open(self, is_open: bool) -> None:
        """Whether somebody new can connect. Not on systems without such filters: there everybody can."""
        if is_open == self.is_open or sys.platform != "linux":
            return
        if is_open:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
        else:
            program = ctypes.create_string_buffer(DROP_ALL, len(DROP_ALL))
            filtering = struct.pack("HP", 1, ctypes.addressof(program))  # struct sock_fprog, with its padding
            self._socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filtering)
        self.is_open = is_open

    def hand_over(self) -> None:
        """Whoever was given the descriptor closes it."""
        self._socket.detach()
