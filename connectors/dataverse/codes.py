"""The stable codes of Dataverse: what its answers and our own checks lead to, and what is said of a mapping file."""

from collections.abc import Mapping
from typing import Final

from connectors.codes import OutcomeCode
from connectors.outcome import (
    BlockedError,
    RejectedError,
    SkippedError,
    TransientError,
    UnknownOutcomeError,
)

_CORRECT_FIELD = "Correct the field in review, or have the mapping shorten, round or translate it."
_CORRECT_MAPPING = "Run `numora-bridge check`, correct the mapping or the table; deliveries go on by themselves."

OUTCOME_CODES: Final[Mapping[str, OutcomeCode]] = {
    "attachments_unavailable": OutcomeCode(
        (BlockedError,),
        "The mapping attaches files, and this version fetches none.",
        "Take `attachments` out of the mapping.",
    ),
    "auth_unavailable": OutcomeCode(
        (BlockedError,), "This version does not log in this way.", "Use `auth: {kind: client_secret, …}`."
    ),
    "business_rule": OutcomeCode(
        (RejectedError,),
        "A plug-in or business rule of the environment refused the row.",
        "Its own words are in the message: correct the document, or the rule.",
    ),
    "duplicate_in_target": OutcomeCode(
        (RejectedError,),
        "Another row has the same values in a unique key of the table.",
        "Decide which of the two is right in Dynamics, or correct the field in review.",
    ),
    "duplicate_rule": OutcomeCode(
        (RejectedError,),
        "A duplicate detection rule of the environment refused the row.",
        "Decide in Dynamics which of the rows is right, or change the rule.",
    ),
    "forbidden": OutcomeCode(
        (BlockedError,),
        "The application user may not do this.",
        "Give it a security role with the rights that the message names.",
    ),
    "foreign_link": OutcomeCode(
        (BlockedError,),
        "Dataverse pointed to an address outside of its own API, which is not followed.",
        "Check `destination.url`, and look for a proxy that rewrites addresses.",
    ),
    "key_column_too_short": OutcomeCode(
        (BlockedError,),
        "The column of the alternate key cannot hold 32 characters.",
        "Lengthen the column, or use `identity: {by: primary_key}`.",
    ),
    "key_missing": OutcomeCode(
        (BlockedError,),
        "The table has no alternate key on that column alone.",
        "Define the key, or use `identity: {by: primary_key}`.",
    ),
    "key_not_active": OutcomeCode(
        (BlockedError,),
        "The index of the alternate key is not active, so that it would not keep a second row out.",
        "Wait until it is built, or reactivate it.",
    ),
    "lines_relationship": OutcomeCode(
        (BlockedError,),
        "The line table does not belong to the document's table by exactly one relationship.",
        _CORRECT_MAPPING,
    ),
    "lookup_ambiguous": OutcomeCode(
        (RejectedError,),
        "A lookup finds more than one row.",
        "Remove the duplicate in Dynamics, or match by a column that is unique.",
    ),
    "lookup_missing": OutcomeCode(
        (RejectedError, SkippedError),
        "A lookup finds no row; `missing` in the mapping says whether that rejects or skips.",
        "Create the row in Dynamics and retry, or correct the field in review.",
    ),
    "lookup_not_creatable": OutcomeCode(
        (BlockedError,),
        "`missing: create` cannot create a row that is matched by a reference.",
        "Match by plain columns, or use another `missing`.",
    ),
    "lookup_unsettled": OutcomeCode(
        (TransientError,),
        "The row of a lookup is being created by someone else.",
        "Nothing: it is looked for again.",
    ),
    "lookup_value_invalid": OutcomeCode(
        (RejectedError,), "A lookup's value can be no value of the column that it is matched with.", _CORRECT_FIELD
    ),
    "metadata_changed": OutcomeCode(
        (TransientError,),
        "The table is not as it was when it was last read.",
        "Nothing: it is read again. If a name is gone for good, the mapping is blocked and says which.",
    ),
    "notes_disabled": OutcomeCode(
        (BlockedError,), "The table takes no notes.", "Switch attachments on for the table, or map no notes."
    ),
    "out_of_range": OutcomeCode(
        (RejectedError,), "The value lies outside of what the column holds; dates begin in 1753.", _CORRECT_FIELD
    ),
    "read_refused": OutcomeCode(
        (BlockedError,),
        "Dataverse refuses a query.",
        "The message has its words. Run `numora-bridge check`; most often a table or a right is missing.",
    ),
    "redirected": OutcomeCode(
        (BlockedError,), "Dataverse answered with a redirect.", "Set `destination.url` to the environment's address."
    ),
    "reference_gone": OutcomeCode(
        (TransientError,), "A row that is referred to was deleted meanwhile.", "Nothing: the lookup is made anew."
    ),
    "refused_by_target": OutcomeCode(
        (RejectedError,),
        "Dataverse refuses the data for a reason of its own.",
        "Its words are in the message, with the field when it named a column.",
    ),
    "rolled_back": OutcomeCode(
        (TransientError,),
        "Dataverse rolled the write back: a deadlock or a timeout in its database.",
        "Nothing: it is tried again.",
    ),
    "row_changed": OutcomeCode(
        (TransientError,), "Someone else changed the row meanwhile.", "Nothing: it is read and compared again."
    ),
    "row_unsettled": OutcomeCode(
        (TransientError,),
        "The row's key is taken, and the row cannot be read yet.",
        "Nothing: it is read again.",
    ),
    "server_error": OutcomeCode(
        (TransientError, UnknownOutcomeError),
        "Dataverse answered with a server error. After a write its effect is not known, and is read.",
        "Nothing at first. If it lasts, look at the health of the environment.",
    ),
    "text_too_long": OutcomeCode((RejectedError,), "The text is longer than the column holds.", _CORRECT_FIELD),
    "too_many_decimals": OutcomeCode(
        (RejectedError,), "The number has more fraction digits than the column keeps.", _CORRECT_FIELD
    ),
    "too_many_digits": OutcomeCode(
        (RejectedError,),
        "The number has more digits than a floating-point column keeps.",
        "Use a decimal column, or correct the field in review.",
    ),
    "too_many_lines": OutcomeCode(
        (RejectedError,),
        "The document has more lines than one transaction takes.",
        "Split the document, or map fewer lines.",
    ),
    "unauthorized": OutcomeCode(
        (BlockedError,),
        "Dataverse refuses a fresh token.",
        "Register the application as an application user of the environment.",
    ),
    "unknown_choice": OutcomeCode(
        (RejectedError,),
        "The number is none of the column's choices.",
        "Correct `options` in the mapping, or add the choice in Dynamics.",
    ),
    "unknown_column": OutcomeCode((BlockedError,), "The table has no such column.", _CORRECT_MAPPING),
    "unknown_navigation_property": OutcomeCode(
        (BlockedError,), "The table has no such navigation property to that table.", _CORRECT_MAPPING
    ),
    "unknown_table": OutcomeCode((BlockedError,), "The environment has no such table.", _CORRECT_MAPPING),
    "wrong_type": OutcomeCode(
        (RejectedError,), "The value is of another kind than the column.", "Correct `as` of the column in the mapping."
    ),
}

FINDING_CODES: Final[Mapping[str, str]] = {
    "column_not_updatable": "Warning: the column can be set once, so that a correction that changes it is refused.",
    "column_not_writable": "The column cannot be written, or not when a row is created.",
    "date_in_local_time": "Warning: the column shows a date in each user's time zone, a day early for some.",
    "elastic_table": "An elastic table cannot be written in one transaction with its lines.",
    "key_column_too_short": "The column of the alternate key holds fewer than 32 characters.",
    "key_missing": "There is no alternate key on that column alone.",
    "key_not_active": "The index of the alternate key is not active.",
    "lines_relationship": "The line table needs exactly one relationship to the document's table.",
    "lookup_as_column": "The column refers to another row: it belongs under `lookups`.",
    "lookup_target": "The lookup refers to another table than the mapping names.",
    "notes_disabled": "The table takes no notes.",
    "out_of_range": "A constant or an option lies outside of what the column holds.",
    "precision_elsewhere": "Warning: the precision of the currency column is set outside of the column.",
    "primary_key_mapped": "The primary key is the bridge's to decide.",
    "required_column": "A column that the table requires is not mapped; a warning where only forms require it.",
    "text_too_long": "A constant is longer than the column holds. Warning: the mapping cuts later than the column.",
    "too_many_decimals": "A constant has more fraction digits than the column keeps. Warning: so has `scale`.",
    "too_many_digits": "A constant has more digits than a floating-point column keeps.",
    "unknown_choice": "An option or a constant is none of the column's choices.",
    "unknown_column": "The table has no such column; the message names the nearest one.",
    "unknown_navigation_property": "The table has no such navigation property; the message names the right one.",
    "unknown_table": "The environment has no such table.",
    "wrong_type": "The column is of another kind than what the mapping writes.",
}
