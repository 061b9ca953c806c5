import threading

import pytest

from devices.messages import Done, Failed, Save
from devices.proxy import LocalProxy, guarded


def test_replies_come_in_the_order_of_the_requests_whoever_is_first():
    gate = threading.Event()

    def slow(request):
        assert gate.wait(10)
        return Done()

    def fast(request):
        gate.set()
        return Failed("no")

    proxy = LocalProxy({0: slow, 1: fast}, threads=2)
    assert list(proxy.ask({0: Save(), 1: Save()}).items()) == [(0, Done()), (1, Failed("no"))]
    proxy.close()


def test_every_worker_is_prepared():
    prepared = []
    proxy = LocalProxy(
        {0: lambda request: Done()}, 1, lambda: prepared.append(threading.current_thread().name)
    )
    proxy.ask({0: Save()})
    proxy.close()
    assert len(prepared) == 1
    assert prepared[0].startswith("device")


def test_a_devices_error_is_its_failure_and_a_bug_is_not():
    def diverged(request):
        raise ArithmeticError("too fast")

    def broken(request):
        raise TypeError("a bug")

    assert guarded(diverged, 3)(Save()) == Failed("device 3, save: too fast")
    with pytest.raises(TypeError, match="a bug"):
        guarded(broken, 3)(Save())
