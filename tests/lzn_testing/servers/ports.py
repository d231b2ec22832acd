"""Choose a port for a server of a test."""

import socket


def free_port() -> int:
    """Return a loopback port on which no program listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
