"""Requests to devices, and what becomes of those that fail."""

from collections.abc import Mapping

from devices import messages
from devices.messages import Reply, Request
from devices.proxy import DeviceProxy
from server import journal
from server.planning import RoundFailed


def ask(proxy: DeviceProxy, requests: Mapping[int, Request], failures: list[str]) -> dict[int, Reply]:
    """Replies of those who could; the reasons of the others are added to `failures`."""
    replies = proxy.ask(requests)
    for device, reply in replies.items():
        if isinstance(reply, messages.Failed):
            failures.append(reply.reason)
            journal.device_failed(device, reply.reason)
    return {device: reply for device, reply in replies.items() if not isinstance(reply, messages.Failed)}


def demand(proxy: DeviceProxy, requests: Mapping[int, Request]) -> dict[int, Reply]:
    """Replies of all; RoundFailed if any is missing."""
    failures: list[str] = []
    replies = ask(proxy, requests, failures)
    if failures:
        raise RoundFailed("; ".join(failures))
    return replies
