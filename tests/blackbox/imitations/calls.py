"""One operation on the imitated Dataverse, and how it is refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from tests.blackbox.imitations.wire import decode

ROOT = "/api/data/v9.2/"


class RefusedError(Exception):
    """A request that Dataverse does not take."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass
class Call:
    """One operation, alone or out of a batch."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        try:
            body = decode(self.body)
        except msgspec.DecodeError as error:
            raise RefusedError(400, "0x80048d19", f"Error identified in Payload: {error}") from error
        if not isinstance(body, dict):
            raise RefusedError(400, "0x80048d19", "Error identified in Payload")
        return body
