"""How the sandbox says no."""

from typing import Any


class RefusedError(Exception):
    """A request is not taken: HTTP status, Numora's code, and what stands beside ``error`` in the answer."""

    def __init__(self, status: int, code: str, message: str, **beside: Any) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.beside = beside
