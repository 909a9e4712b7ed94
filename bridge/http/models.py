"""What requests may say, in their query and in their body. Unknown names are refused, nothing is converted by guess."""

import re
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from bridge.delivery.model import DeliveryFilter, State

DEFAULT_LIMIT: Final = 50
LARGEST_LIMIT: Final = 200

_WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,9}", re.ASCII)

Text = Annotated[str, Field(max_length=512)]


def _number(value: Any) -> Any:
    if not isinstance(value, str) or not _WHOLE_NUMBER.fullmatch(value):
        raise PydanticCustomError("int_type", "This should be a whole number.")
    return int(value)


def _states(value: Any) -> Any:
    """Take one state, a list of them, or several with commas between."""
    given = value if isinstance(value, list) else [value]
    names: list[str] = []
    for item in given:
        if not isinstance(item, str):
            raise PydanticCustomError("string_type", "This should be the name of a state, or a list of them.")
        names += (name.strip() for name in item.split(",") if name.strip())
    known = {state.value for state in State}
    if not known.issuperset(names):
        raise PydanticCustomError("bad_state", "This should be one or more of: {known}.", {"known": ", ".join(State)})
    return frozenset(State(name) for name in names)


States = Annotated[frozenset[State], BeforeValidator(_states, json_schema_input_type=str | list[State])]
"""States as ``failed``, ``failed,parked`` or ``["failed", "parked"]``; empty means any."""


class RequestModel(BaseModel):
    """The base of what a request may say."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class NoBody(RequestModel):
    """Nothing: an empty body, or an empty object."""


class Filter(RequestModel):
    """Which deliveries are meant; what is left out is any."""

    state: States = Field(default=frozenset(), description="One state or several.")
    document_id: Text | None = Field(default=None, description="Of this document only.")
    error_code: Text | None = Field(default=None, description="With this error only.")

    def of(self, tenant: str) -> DeliveryFilter:
        """Return the filter for a tenant."""
        return DeliveryFilter(tenant, self.state, self.document_id, self.error_code)


class DeliveriesQuery(Filter):
    """A page of a tenant's deliveries, newest first."""

    limit: Annotated[int, BeforeValidator(_number), Field(ge=1, le=LARGEST_LIMIT)] = Field(
        default=DEFAULT_LIMIT, description="How many to a page."
    )
    cursor: Text | None = Field(default=None, description="The next_cursor of the page before.")


class RetryBody(RequestModel):
    """How a delivery is made once more."""

    mapping: Literal["latest", "same"] = Field(
        default="latest", description="With the mapping in force, or with the one that made the delivery."
    )


class BulkRetryBody(Filter, RetryBody):
    """Which deliveries are made once more; without ``state``, the failed and the parked ones."""

    dry_run: bool = Field(default=False, description="Only tell which ones it would be.")


class DeliverBody(RequestModel):
    """How a document is delivered because someone asked."""

    wait: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)] = Field(
        default=0, description="Seconds to wait for the delivery to end."
    )
    force: bool = Field(default=False, description="Write even an unchanged document that was delivered before.")
    resume_url: Text | None = Field(default=None, description="Not available in this version.")
