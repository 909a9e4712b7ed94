"""The stable codes of the mapping engine, each with what it means.

``PROBLEM_CODES``: why a document is rejected; ``SKIP_CODES``: why it is skipped; ``FINDING_CODES``: what is wrong in a
file.
"""

from collections.abc import Mapping
from typing import Final

REQUIRED_MISSING: Final = "required_missing"
NOT_AN_AMOUNT: Final = "not_an_amount"
NOT_AN_INTEGER: Final = "not_an_integer"
NOT_A_BOOLEAN: Final = "not_a_boolean"
NOT_A_DATE: Final = "not_a_date"
NOT_A_DATETIME: Final = "not_a_datetime"
NOT_A_GUID: Final = "not_a_guid"
NOT_A_SINGLE_VALUE: Final = "not_a_single_value"
NOT_A_LIST: Final = "not_a_list"
AMBIGUOUS_DATE: Final = "ambiguous_date"
NO_TIME_ZONE: Final = "no_time_zone"
TOO_MANY_DECIMALS: Final = "too_many_decimals"
NUMBER_OUT_OF_RANGE: Final = "number_out_of_range"
UNKNOWN_OPTION: Final = "unknown_option"
LOW_CONFIDENCE: Final = "low_confidence"
NOT_CONFIRMED: Final = "not_confirmed"
LOOKUP_WITHOUT_VALUES: Final = "lookup_without_values"
SELECTION_FAILED: Final = "selection_failed"
SELECTION_TOO_LARGE: Final = "selection_too_large"

DUPLICATE: Final = "duplicate"

PROBLEM_CODES: Final[Mapping[str, str]] = {
    REQUIRED_MISSING: "A required column has no value: the field is empty or not in the document.",
    NOT_AN_AMOUNT: "The text is not an amount as the mapping's locale writes it.",
    NOT_AN_INTEGER: "The value is not a whole number.",
    NOT_A_BOOLEAN: "The value is neither a yes nor a no that the mapping knows.",
    NOT_A_DATE: "The text is not a date in any of the column's formats.",
    NOT_A_DATETIME: "The text is not a date with a time in any of the column's formats.",
    NOT_A_GUID: "The text is not a GUID.",
    NOT_A_SINGLE_VALUE: "A list or an object was found where one value is wanted.",
    NOT_A_LIST: "The lines of the mapping select something that is not a list of rows.",
    AMBIGUOUS_DATE: "Two of the column's formats read the text as different dates.",
    NO_TIME_ZONE: "The moment has no offset, and the column names no time zone.",
    TOO_MANY_DECIMALS: "The number has more fraction digits than the column takes, and the mapping does not round.",
    NUMBER_OUT_OF_RANGE: "The number has more digits than any destination takes.",
    UNKNOWN_OPTION: "The value is not among the choice's options, and there is no default.",
    LOW_CONFIDENCE: "The field was read with less confidence than the mapping asks for.",
    NOT_CONFIRMED: "The mapping asks for a confirmed field, and the review has not confirmed it.",
    LOOKUP_WITHOUT_VALUES: "A lookup that may not stay empty has no rule whose values are all there.",
    SELECTION_FAILED: "The expression cannot be worked out on this document.",
    SELECTION_TOO_LARGE: "More than 10,000 values are selected, or more than 1,048,576 characters put together.",
}

SKIP_CODES: Final[Mapping[str, str]] = {
    DUPLICATE: "The source marks the document as a duplicate of another, and the mapping skips those.",
}

BAD_EXPRESSION: Final = "bad_expression"
EXPRESSION_TOO_LARGE: Final = "expression_too_large"
UNKNOWN_DOCUMENT_FIELD: Final = "unknown_document_field"
DOCUMENT_FIELD_IN_ROW: Final = "document_field_in_row"
UNKNOWN_FUNCTION: Final = "unknown_function"
BAD_STEP: Final = "bad_step"
UNKNOWN_STEP: Final = "unknown_step"
FROM_OR_VALUE: Final = "from_or_value"
KEY_NOT_USED: Final = "key_not_used"
OPTIONS_MISSING: Final = "options_missing"
BAD_OPTIONS: Final = "bad_options"
BAD_DEFAULT: Final = "bad_default"
BAD_FORMAT: Final = "bad_format"
AMBIGUOUS_FORMATS: Final = "ambiguous_formats"
UNKNOWN_TIMEZONE: Final = "unknown_timezone"
UNKNOWN_LOCALE: Final = "unknown_locale"
BAD_NAME: Final = "bad_name"
COLUMN_TWICE: Final = "column_twice"
EMPTY_RULE: Final = "empty_rule"
BAD_IDENTITY: Final = "bad_identity"
BAD_ATTACHMENT: Final = "bad_attachment"

FINDING_CODES: Final[Mapping[str, str]] = {
    BAD_EXPRESSION: "The expression is not JMESPath.",
    EXPRESSION_TOO_LARGE: "The expression is longer, larger or deeper than is allowed.",
    UNKNOWN_DOCUMENT_FIELD: "The expression begins with a name that no document has.",
    DOCUMENT_FIELD_IN_ROW: "The expression looks for a part of the document inside a row, where there is only the row.",
    UNKNOWN_FUNCTION: "The expression calls a function that there is not, or gives it too many or too few arguments.",
    BAD_STEP: "A step of `then` is not written as it should be.",
    UNKNOWN_STEP: "A step of `then` is not in the list of steps.",
    FROM_OR_VALUE: "A column needs either `from` or `value`.",
    KEY_NOT_USED: "A key stands where it has no effect.",
    OPTIONS_MISSING: "A choice has no options.",
    BAD_OPTIONS: "An option is not a single value of the kind that is wanted.",
    BAD_DEFAULT: "The constant or default is not a value of the column's kind.",
    BAD_FORMAT: "A date format cannot be used.",
    AMBIGUOUS_FORMATS: "Two formats read the same text as different dates.",
    UNKNOWN_TIMEZONE: "The time zone is not known.",
    UNKNOWN_LOCALE: "The locale is not known.",
    BAD_NAME: "The name of a table or a column cannot be one.",
    COLUMN_TWICE: "A column is written to twice.",
    EMPTY_RULE: "A lookup's rule matches nothing.",
    BAD_IDENTITY: "The identity does not fit together.",
    BAD_ATTACHMENT: "The attachment does not fit together.",
}
