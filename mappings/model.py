"""The shape of a mapping file, key by key. What its parts mean together is linted in ``load`` and ``column_spec``."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from mappings.names import Kind


def _no_boolean(value: Any) -> Any:
    if isinstance(value, (bool, str)):
        raise PydanticCustomError("wrong_type", "This should be a number from 0 to 1.")
    return value


Confidence = Annotated[
    Decimal,
    BeforeValidator(_no_boolean),
    Field(ge=0, le=1),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1}),
]
Scale = Annotated[StrictInt, Field(ge=0, le=10)]
Constant = Annotated[Any, WithJsonSchema({"type": ["string", "number", "boolean", "null"]})]
Options = Annotated[
    dict[Any, Any],
    WithJsonSchema({"type": "object", "additionalProperties": {"type": ["integer", "string", "boolean"]}}),
]
Steps = Annotated[
    list[str],
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
Name = Annotated[str, Field(min_length=1, max_length=128)]
Anything = Annotated[dict[Any, Any], WithJsonSchema({"type": "object"})]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)


class _WithShorthand(_Part):
    """A part that may be given as one text."""

    @classmethod
    def _shorthand(cls) -> str:
        return "from"

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {cls._shorthand(): value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> Any:
        written_out = handler.resolve_ref_schema(handler(core_schema))
        shorthand = {"type": "string", "description": f"Short for {{{cls._shorthand()}: …}}."}
        return {"anyOf": [shorthand, written_out]}


class ColumnSpec(_WithShorthand):
    """Where a column's value comes from and what is made of it; a text is short for ``{from: …}``."""

    from_: str | None = Field(None, alias="from", description="JMESPath over the document, or over one row in lines.")
    value: Constant = Field(None, description="A constant instead of `from`.")
    as_: Kind | None = Field(None, alias="as", description="What the value becomes; text unless given.")
    then: Steps = Field(default_factory=list, description="Steps, in order: strip, upper, truncate(100), …")
    required: StrictBool = Field(False, description="Reject the document when there is no value.")
    default: Constant = Field(None, description="Written when there is no value.")
    min_confidence: Confidence | None = Field(None, description="Wins over the guards' min_confidence.")
    scale: Scale | None = Field(None, description="The fraction digits that the column takes.")
    round: Literal["half_up", "half_even", "down"] | None = Field(
        None, description="How to round what has more digits than scale; without it such a value is rejected."
    )
    locale: str | None = Field(None, description="How this amount is written, when it differs from the file's locale.")
    formats: list[str] | None = Field(None, description="strptime formats of a date, tried in order.")
    timezone: str | None = Field(None, description="The zone of a moment that has no offset, e.g. Europe/Berlin.")
    options: Options | None = Field(None, description="What each value of a choice, or of a boolean, becomes.")

    @model_validator(mode="before")
    @classmethod
    def _one_step(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("then"), str):
            return {**value, "then": [value["then"]]}
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> Any:
        shorthand, written_out = super().__get_pydantic_json_schema__(core_schema, handler)["anyOf"]
        return {"anyOf": [shorthand, {**written_out, "oneOf": [{"required": ["from"]}, {"required": ["value"]}]}]}


class IdentitySpec(_Part):
    """How the destination recognises the document's row."""

    by: Literal["primary_key", "alternate_key"] = "primary_key"
    column: Name | None = Field(None, description="The alternate key's column.")


class GuardsSpec(_Part):
    """What a document must meet before it is delivered."""

    duplicate: Literal["skip", "deliver"] = "skip"
    min_confidence: Confidence = Decimal(0)
    confirmed: list[str] = Field(default_factory=list, description="Fields that the review must have confirmed.")


class LookupSpec(_Part):
    """A reference to a row of another table."""

    table: Name
    match: dict[Name, ColumnSpec] = Field(description="Columns of the other table and the values they must have.")
    or_match: list[dict[Name, ColumnSpec]] = Field(
        default_factory=list, description="Further rules; the first whose values are all there is used."
    )
    missing: Literal["skip", "reject", "empty", "create"] = "reject"


class LinesSpec(_Part):
    """The document's lines, each a row of a table of their own."""

    from_: str = Field("line_items", alias="from", description="JMESPath to the list of rows.")
    table: Name
    key: str = Field("id", description="JMESPath, over one row, to the row's stable id.")
    columns: dict[Name, ColumnSpec]


class AttachmentSpec(_WithShorthand):
    """A file to hang on the row; a text is short for ``{url: …}``."""

    url: str = Field(description="JMESPath to the file's address.")
    as_: Literal["note", "file_column"] = Field("note", alias="as")
    column: Name | None = Field(None, description="The column of a file_column.")

    @classmethod
    def _shorthand(cls) -> str:
        return "url"


class CaseDocument(_Part):
    """The document of a test: only what matters. A field is its value or ``{value, confidence}``."""

    id: str | None = None
    schema_: str | None = Field(None, alias="schema")
    status: str | None = None
    external_id: str | None = None
    updated_at: Any = None
    metadata: Anything = Field(default_factory=dict)
    confidence: Confidence | None = None
    duplicate_of: str | None = None
    fields: Anything = Field(default_factory=dict)
    confidences: Anything = Field(default_factory=dict)
    line_items: list[Any] = Field(default_factory=list)
    review_state: Anything | None = None


class ExpectedProblem(_Part):
    """A problem that a test expects; what is not given may be anything."""

    field: str | None = None
    column: str | None = None
    code: str | None = None
    message: str | None = None


class Expectation(_Part):
    """What a test expects. Only what is named is compared."""

    columns: Anything | None = None
    lookups: dict[str, Anything | None] | None = None
    lines: list[Anything] | None = None
    attachments: list[str] | None = None
    problems: list[ExpectedProblem] | None = None
    skip: str | None = None


class CaseSpec(_Part):
    """One test of the file."""

    name: Annotated[str, Field(min_length=1)]
    document: CaseDocument = Field(default_factory=lambda: CaseDocument.model_validate({}))
    expect: Expectation


class MappingFile(_Part):
    """A mapping file: how a reviewed document of one schema becomes a row of one table."""

    schema_: Annotated[str, Field(min_length=1)] = Field(
        alias="schema", description="The document schema, e.g. invoice_v2."
    )
    destination: Annotated[str, Field(min_length=1)] = Field(description="The kind of destination, e.g. dataverse.")
    table: Name = Field(description="The table's logical name.")
    identity: IdentitySpec = IdentitySpec.model_validate({})
    locale: str = Field("en_US", description="How amounts are written in the document.")
    guards: GuardsSpec = GuardsSpec.model_validate({})
    columns: dict[Name, ColumnSpec]
    lookups: dict[Name, LookupSpec] = Field(default_factory=dict)
    lines: LinesSpec | None = None
    attachments: list[AttachmentSpec] = Field(default_factory=list)
    tests: list[CaseSpec] = Field(default_factory=list)
