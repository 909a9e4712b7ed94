"""What the application user may do: everything, until a privilege is taken away."""

from typing import Literal

from connectors.dataverse.sandbox.errors import PRIVILEGE_MISSING, ApiError
from connectors.dataverse.sandbox.shipped import APPLICATION_USER_ID

Operation = Literal["create", "read", "write", "delete"]


class Privileges:
    """The privileges that are missing, by table and operation."""

    def __init__(self) -> None:
        self._missing: set[tuple[str, Operation]] = set()

    def take(self, table: str, operation: Operation) -> None:
        """Take a privilege away."""
        self._missing.add((table, operation))

    def give(self, table: str, operation: Operation) -> None:
        """Give a privilege back."""
        self._missing.discard((table, operation))

    def clear(self) -> None:
        """Give every privilege back."""
        self._missing.clear()

    def require(self, table: str, operation: Operation) -> None:
        """Raise ``ApiError`` 403 when the privilege is missing."""
        if (table, operation) in self._missing:
            privilege = f"prv{operation.capitalize()}{table}"
            raise ApiError(
                403,
                PRIVILEGE_MISSING,
                f"Principal user (Id={APPLICATION_USER_ID}, type=8) is missing {privilege} "
                f"privilege on OTC=10000 for entity '{table}' (LocalizedName='{table}').",
            )
