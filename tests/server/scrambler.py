"""A link between a device process and its server, on which messages come late, twice, in another order."""

import heapq
import random
import threading
import time
from contextlib import suppress

import zmq

LATE_S, LONG_AFTER_S = 0.02, 0.7


class Scrambler:
    """A thread with a socket at either end; a process connects to `url` instead of the server. sent: by direction, the
    numbers of messages, in the order in which they went on."""

    def __init__(self, server_url, seed):
        self._rng, self._over = random.Random(seed), threading.Event()
        self._context = zmq.Context()
        self._ends = [self._context.socket(zmq.DEALER) for _ in range(2)]
        for end in self._ends:
            end.setsockopt(zmq.LINGER, 500)
        self.url = f"tcp://127.0.0.1:{self._ends[0].bind_to_random_port('tcp://127.0.0.1')}"
        self._ends[1].connect(server_url)
        self.sent = {0: [], 1: []}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self):
        self._over.set()
        self._thread.join()
        for end in self._ends:
            end.close()
        self._context.term()

    def _run(self):
        poller, waiting, number = zmq.Poller(), [], 0
        for end in self._ends:
            poller.register(end, zmq.POLLIN)
        while not self._over.is_set():
            ready = dict(poller.poll(1))
            for direction, end in enumerate(self._ends):
                while end in ready and end.poll(0):
                    frames = end.recv_multipart()
                    for due_s in self._dues():
                        heapq.heappush(waiting, (due_s, self._rng.random(), number, direction, frames))
                    number += 1
            while waiting and waiting[0][0] <= time.monotonic():
                _, _, which, direction, frames = heapq.heappop(waiting)
                self.sent[direction].append(which)
                with suppress(zmq.Again):  # nobody is there any more
                    self._ends[1 - direction].send_multipart(frames, zmq.NOBLOCK)

    def _dues(self):
        """When a message goes on: once, or twice, and some of them again when others have followed."""
        delays_s = [self._rng.uniform(0.0, LATE_S) for _ in range(self._rng.choice((1, 1, 2)))]
        delays_s += [self._rng.uniform(0.1, LONG_AFTER_S)] if self._rng.random() < 0.2 else []
        return [time.monotonic() + delay_s for delay_s in delays_s]
