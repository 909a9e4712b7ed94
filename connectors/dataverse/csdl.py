"""Tables as ``$metadata`` describes them: the way out where a target has no ``EntityDefinitions``."""

from dataclasses import dataclass, field
from io import BytesIO
from xml.etree import ElementTree as ET

from connectors.dataverse.metadata import Attribute, Kind, Limits, Relationship, Table

_KINDS = {
    "Edm.String": Kind.STRING,
    "Edm.Int32": Kind.INTEGER,
    "Edm.Int64": Kind.BIGINT,
    "Edm.Decimal": Kind.DECIMAL,
    "Edm.Double": Kind.DOUBLE,
    "Edm.Boolean": Kind.BOOLEAN,
    "Edm.Date": Kind.DATETIME,
    "Edm.DateTimeOffset": Kind.DATETIME,
    "Edm.Guid": Kind.UNIQUEIDENTIFIER,
}


@dataclass(slots=True)
class _Type:
    name: str
    key: str | None = None
    attributes: dict[str, Attribute] = field(default_factory=dict)
    references: dict[str, tuple[str, str]] = field(default_factory=dict)
    collections: dict[str, tuple[str, str]] = field(default_factory=dict)


def read_tables(document: bytes) -> dict[str, Table]:
    """Return every table of a CSDL document by name, few limits known. Raises ``ValueError`` when it is none.

    Navigation properties give the relationships: ``_x_value`` in a referential constraint is column ``x``.
    """
    if b"<!DOCTYPE" in document[:2000]:
        raise ValueError("a metadata document has no document type")
    types: dict[str, _Type] = {}
    sets: dict[str, str] = {}
    try:
        # Expat bounds entity expansion, and the document type was ruled out above.
        for _, element in ET.iterparse(BytesIO(document)):  # noqa: S314
            tag = _local(element.tag)
            if tag == "EntityType":
                read = _read_type(element)
                types[read.name] = read
                element.clear()
            elif tag == "EntitySet":
                sets[_last(element.get("EntityType", ""))] = element.get("Name", "")
    except ET.ParseError as error:
        raise ValueError(f"the metadata document is not XML: {error}") from error
    return {
        name: _table(types[name], types, set_name)
        for name, set_name in sets.items()
        if name in types and types[name].key
    }


def _read_type(element: ET.Element) -> _Type:
    read = _Type(element.get("Name", ""))
    for child in element:
        tag, name = _local(child.tag), child.get("Name", "")
        if tag == "Key":
            references = [one.get("Name") for one in child if _local(one.tag) == "PropertyRef"]
            read.key = references[0] if references else None
        elif tag == "Property" and not (name.startswith("_") and name.endswith("_value")):
            kind = _KINDS.get(child.get("Type", ""), Kind.UNTOLD)
            read.attributes[name] = Attribute(name, kind, limits=_limits(child))
        elif tag == "NavigationProperty":
            _read_navigation(read, name, child)
    return read


def _limits(element: ET.Element) -> Limits:
    """Return what a property's facets tell of its limits: little, as a rule."""
    longest, digits = element.get("MaxLength", ""), element.get("Scale", "")
    return Limits(
        max_length=int(longest) if longest.isdecimal() else None,
        precision=int(digits) if digits.isdecimal() else None,
        behavior="DateOnly" if element.get("Type") == "Edm.Date" else None,
    )


def _read_navigation(read: _Type, name: str, element: ET.Element) -> None:
    target = element.get("Type", "")
    if target.startswith("Collection("):
        read.collections[name] = (_last(target.removesuffix(")")), element.get("Partner", ""))
        return
    columns = [one.get("Property", "") for one in element if _local(one.tag) == "ReferentialConstraint"]
    column = columns[0] if columns else name.lower()
    if column.startswith("_") and column.endswith("_value"):
        column = column[1 : -len("_value")]
    read.references[name] = (_last(target), column)


def _table(of: _Type, types: dict[str, _Type], set_name: str) -> Table:
    many_to_one = tuple(
        Relationship(of.name, column, target, navigation, None)
        for navigation, (target, column) in of.references.items()
    )
    one_to_many = tuple(
        Relationship(other, types[other].references[partner][1], of.name, partner, collection)
        for collection, (other, partner) in of.collections.items()
        if other in types and partner in types[other].references
    )
    attributes = dict(of.attributes)
    for _, column in of.references.values():
        attributes.setdefault(column, Attribute(column, Kind.LOOKUP))
    return Table(of.name, set_name, of.key or "", None, attributes, many_to_one=many_to_one, one_to_many=one_to_many)


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _last(qualified: str) -> str:
    return qualified.rpartition(".")[2]
