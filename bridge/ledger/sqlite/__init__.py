"""The ledger on SQLite: one process, one file, one writing connection."""
