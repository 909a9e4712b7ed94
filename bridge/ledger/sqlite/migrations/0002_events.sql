-- Those whom events are sent to. types is a JSON array of patterns.
CREATE TABLE endpoints (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    origin TEXT NOT NULL,
    address BLOB NOT NULL,
    label TEXT NOT NULL,
    digest TEXT NOT NULL,
    types TEXT NOT NULL,
    secrets BLOB NOT NULL,
    state TEXT NOT NULL,
    failing_since INTEGER,
    document_id TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX endpoints_by_state ON endpoints (tenant, origin, state);
CREATE UNIQUE INDEX endpoints_by_digest ON endpoints (tenant, origin, digest)
WHERE document_id IS NULL AND state <> 'gone';
CREATE UNIQUE INDEX endpoints_of_document ON endpoints (tenant, document_id, digest) WHERE document_id IS NOT NULL;

-- line is the queue that a message stands in: its endpoint's, or the one that all calls of a tenant's resume_urls share.
-- ready_at is when a queued message can be claimed: once its lease has ended, and not before it is due.
CREATE TABLE messages (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    type TEXT NOT NULL,
    delivery_id TEXT,
    body BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    line TEXT NOT NULL,
    due_at INTEGER,
    lease_until INTEGER,
    token INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    state TEXT NOT NULL,
    status INTEGER,
    error TEXT,
    ended_at INTEGER,
    ready_at INTEGER GENERATED ALWAYS AS (
        CASE WHEN lease_until > due_at THEN lease_until ELSE due_at END
    ) VIRTUAL
) STRICT;

CREATE INDEX messages_of_endpoint ON messages (endpoint_id, state);
CREATE INDEX messages_ready ON messages (line, ready_at) WHERE state = 'queued';
CREATE INDEX messages_held ON messages (line, lease_until) WHERE lease_until IS NOT NULL;

-- Calls that came in, kept against their being played again.
CREATE TABLE hooks (
    seq INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    source TEXT NOT NULL,
    event_id TEXT NOT NULL,
    type TEXT NOT NULL,
    document_id TEXT,
    received_at INTEGER NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (tenant, source, event_id)
) STRICT;

-- How many calls there ever were: the calls themselves are forgotten by age.
CREATE TABLE hook_counts (
    tenant TEXT NOT NULL,
    source TEXT NOT NULL,
    type TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (tenant, source, type)
) STRICT, WITHOUT ROWID;

CREATE TABLE actions (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT,
    key TEXT,
    fingerprint TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    request_id TEXT,
    state TEXT NOT NULL,
    status INTEGER,
    answer BLOB,
    ended_at INTEGER
) STRICT;

CREATE UNIQUE INDEX actions_by_key ON actions (tenant, key) WHERE key IS NOT NULL;
CREATE INDEX actions_of_subject ON actions (tenant, subject) WHERE subject IS NOT NULL;
