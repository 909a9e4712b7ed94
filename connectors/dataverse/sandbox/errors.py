"""The refusals of the Dataverse Web API, with its own status and error codes."""

from typing import NoReturn

KEY_TAKEN = "0x80060892"
PRIMARY_KEY_TAKEN = "0x80040237"
NOT_FOUND = "0x80040217"
NOT_FOUND_BY_KEY = "0x80060891"
VERSION_MISMATCH = "0x80060882"
BAD_QUERY = "0x80060888"
BAD_SEGMENT = "0x8006088a"
BAD_PAYLOAD = "0x80048d19"
BAD_VALUE = "0x80040203"
TOO_LONG = "0x80044331"
OUT_OF_RANGE = "0x80044330"
BAD_CHOICE = "0x8004431a"
BAD_STATUS_REASON = "0x80048408"
UNEXPECTED = "0x80040216"
PRIVILEGE_MISSING = "0x80040220"
FILE_TOO_LARGE = "0x80044a02"
BUSINESS_RULE = "0x80040265"
REQUESTS_EXCEEDED = "0x80072322"
CONCURRENCY_EXCEEDED = "0x80072326"

_PAYLOAD_HELP = "https://go.microsoft.com/fwlink/?linkid=2195293"


class ApiError(Exception):
    """A refused request; the answer's body is ``{"error": {"code", "message"}}``."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def bad_payload(set_name: str, reason: str) -> ApiError:
    """The body is JSON but does not fit the table's type."""
    return ApiError(
        400,
        BAD_PAYLOAD,
        f"Error identified in Payload provided by the user for Entity :'{set_name}', For more information on this "
        f"error please follow this help link {_PAYLOAD_HELP}  ---->  "
        f"InnerException : Microsoft.OData.ODataException: {reason}",
    )


def undeclared_annotated_property(set_name: str, name: str) -> ApiError:
    """A property with annotations only that is no navigation property, such as one in the wrong case."""
    return bad_payload(
        set_name,
        f"An undeclared property '{name}' which only has property annotations in the payload but no property value was "
        "found in the payload. In OData, only declared navigation properties and declared named streams can be "
        "represented as properties without values.",
    )


def undeclared_property(set_name: str, logical_name: str, name: str) -> ApiError:
    """A property with a value that the table does not have."""
    return bad_payload(
        set_name,
        f"The property '{name}' does not exist on type 'Microsoft.Dynamics.CRM.{logical_name}'. Make sure to only use "
        "property names that are defined by the type.",
    )


def not_convertible(set_name: str, value: object, edm_type: str) -> ApiError:
    """A value of the wrong JSON type or form."""
    return bad_payload(set_name, f"Cannot convert the literal '{value}' to the expected type '{edm_type}'.")


def missing_row(logical_name: str, row_id: str) -> ApiError:
    """No row with this primary key."""
    return ApiError(404, NOT_FOUND, f"Entity '{logical_name}' With Id = {row_id} Does Not Exist")


def missing_key(logical_name: str) -> ApiError:
    """No row with these alternate key values, or the key's index is not active."""
    return ApiError(
        404, NOT_FOUND_BY_KEY, f"A record with the specified key values does not exist in {logical_name} entity"
    )


def matching_key_exists() -> ApiError:
    """The row exists although the request wanted to create it."""
    return ApiError(412, KEY_TAKEN, "A record with matching key values already exists.")


def key_taken(key_name: str, display_names: str) -> ApiError:
    """Another row has these alternate key values."""
    return ApiError(
        412,
        KEY_TAKEN,
        f"A record that has the attribute values {display_names} already exists. The entity key {key_name} requires "
        "that this set of attributes contains unique values. Select unique values and try again.",
    )


def version_mismatch() -> ApiError:
    """``If-Match`` names another version than the row's."""
    return ApiError(
        412, VERSION_MISMATCH, "The version of the existing record doesn't match the RowVersion property provided."
    )


def unknown_property(logical_name: str, name: str) -> ApiError:
    """A query names a property that the type does not have."""
    return ApiError(
        400, BAD_QUERY, f"Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.{logical_name}'."
    )


def unknown_segment(segment: str) -> ApiError:
    """The URL leads nowhere."""
    return ApiError(404, BAD_SEGMENT, f"Resource not found for the segment '{segment}'.")


def refuse_query(reason: str) -> NoReturn:
    """Raise for a malformed query or key."""
    raise ApiError(400, BAD_QUERY, reason)
