"""Radios on one air are told apart by ports: devices count from 0, radios that keep the air's own time from -1 down."""


def port_key(port: int) -> int:
    """Step of a random stream's path, which cannot be negative; a device's is its number."""
    return port if port >= 0 else 2**31 - port
