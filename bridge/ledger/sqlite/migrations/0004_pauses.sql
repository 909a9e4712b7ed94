-- How long those who share an identity, given by its digest, were asked to wait. There are a handful at most.
CREATE TABLE pauses (
    identity TEXT PRIMARY KEY,
    asked_at INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
