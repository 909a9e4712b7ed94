"""Dataverse imitated: an in-memory Web API that is strict where the real one is."""

from connectors.dataverse.sandbox.columns import (
    BooleanColumn,
    Column,
    DateTimeColumn,
    DecimalColumn,
    DoubleColumn,
    FileColumn,
    GuidColumn,
    IntegerColumn,
    LookupColumn,
    MemoColumn,
    MoneyColumn,
    Navigation,
    PicklistColumn,
    StringColumn,
)
from connectors.dataverse.sandbox.server import DataverseSandbox
from connectors.dataverse.sandbox.settings import Settings
from connectors.dataverse.sandbox.shipped import APPLICATION_USER_ID, EURO_ID
from connectors.dataverse.sandbox.store import Effect
from connectors.dataverse.sandbox.tables import KeySchema, TableSchema

__all__ = [
    "APPLICATION_USER_ID",
    "EURO_ID",
    "BooleanColumn",
    "Column",
    "DataverseSandbox",
    "DateTimeColumn",
    "DecimalColumn",
    "DoubleColumn",
    "Effect",
    "FileColumn",
    "GuidColumn",
    "IntegerColumn",
    "KeySchema",
    "LookupColumn",
    "MemoColumn",
    "MoneyColumn",
    "Navigation",
    "PicklistColumn",
    "Settings",
    "StringColumn",
    "TableSchema",
]
