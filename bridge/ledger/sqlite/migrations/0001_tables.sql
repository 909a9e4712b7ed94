-- seq is the order of insertion: it decides which delivery of a document is the newest, and pages go by it.
-- ready_at is when the delivery can be claimed: once its lease has ended if it is worked on, and not before it is due.
CREATE TABLE deliveries (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    document_id TEXT NOT NULL,
    listing TEXT NOT NULL,
    "trigger" TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    step TEXT,
    due_at INTEGER,
    lease_until INTEGER,
    token INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    schema TEXT,
    revision TEXT,
    mapping_name TEXT,
    mapping_digest TEXT,
    pinned INTEGER NOT NULL,
    force INTEGER NOT NULL,
    again INTEGER NOT NULL,
    may_exist INTEGER NOT NULL,
    line_ids TEXT,
    record_id TEXT,
    external_url TEXT,
    operation TEXT,
    execution_id TEXT,
    callback BLOB,
    outcome TEXT,
    error_code TEXT,
    error_message TEXT,
    problems TEXT,
    ended_at INTEGER,
    ready_at INTEGER GENERATED ALWAYS AS (
        CASE
            WHEN state = 'working' THEN coalesce(lease_until, 0)
            WHEN lease_until > due_at THEN lease_until
            ELSE due_at
        END
    ) VIRTUAL
) STRICT;

CREATE INDEX deliveries_of_document ON deliveries (tenant, document_id);
CREATE INDEX deliveries_by_state ON deliveries (tenant, state);
CREATE INDEX deliveries_by_error ON deliveries (tenant, error_code, state) WHERE error_code IS NOT NULL;
CREATE INDEX deliveries_ready ON deliveries (tenant, step, ready_at, schema, lease_until) WHERE ready_at IS NOT NULL;

CREATE TABLE attempts (
    seq INTEGER PRIMARY KEY,
    delivery INTEGER NOT NULL REFERENCES deliveries (seq) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    code TEXT,
    message TEXT,
    execution_id TEXT
) STRICT;

CREATE INDEX attempts_of_delivery ON attempts (delivery);

CREATE TABLE requests (
    seq INTEGER PRIMARY KEY,
    delivery INTEGER NOT NULL REFERENCES deliveries (seq) ON DELETE CASCADE,
    id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    peer TEXT NOT NULL,
    purpose TEXT NOT NULL,
    method TEXT NOT NULL,
    url TEXT NOT NULL,
    sent_at INTEGER NOT NULL,
    status INTEGER,
    elapsed_ms INTEGER,
    peer_request_id TEXT,
    error TEXT,
    excerpt TEXT,
    UNIQUE (delivery, id)
) STRICT;

CREATE TABLE polls (
    tenant TEXT PRIMARY KEY,
    cursor TEXT,
    finished_at INTEGER,
    succeeded_at INTEGER,
    token INTEGER NOT NULL,
    lease_until INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE mappings (
    digest TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    text TEXT NOT NULL,
    stored_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row, written by ping to learn whether the ledger takes writes.
CREATE TABLE pings (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    count INTEGER NOT NULL
) STRICT;

INSERT INTO pings VALUES (1, 0);
