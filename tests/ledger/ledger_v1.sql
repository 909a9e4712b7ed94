-- A ledger as version 1 wrote it. Never edited: it stands for those that are out there.
BEGIN TRANSACTION;
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
INSERT INTO "attempts" VALUES(1,1,1,1800000000000,1800000000005,'rejected','field_required','The total is missing.','nb-doc-1-1-1');
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
INSERT INTO "deliveries" VALUES(1,'dlv_1','acme','doc-1','{"document_id":"doc-1","schema":"invoice_v2","status":"approved","external_id":null,"metadata":{"file_url":"/files/1"},"updated_at":null,"result_url":null}','outbox',1800000000000,1800000000000,1800000000000,'failed',NULL,NULL,NULL,1,1,0,'invoice_v2',NULL,'invoice_v2.dataverse.yaml','d1',0,0,0,0,'["line-1"]',NULL,NULL,NULL,'nb-doc-1-1-1',X'7B22737461747573223A226661696C6564227D','failed','field_required','The total is missing.','[{"field":"total","column":"numora_total","code":"field_required","message":"The total is missing."}]',1800000000000);
INSERT INTO "deliveries" VALUES(2,'dlv_2','acme','doc-2','{"document_id":"doc-2","schema":"invoice_v2","status":null,"external_id":null,"metadata":{},"updated_at":null,"result_url":null}','outbox',1800000000000,1800000000000,1800000000000,'queued','fetch',1800000000000,NULL,0,0,0,'invoice_v2',NULL,NULL,NULL,0,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE mappings (
    digest TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    text TEXT NOT NULL,
    stored_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "mappings" VALUES('d1','invoice_v2.dataverse.yaml','schema: invoice_v2
',1800000000000);
CREATE TABLE pings (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    count INTEGER NOT NULL
) STRICT;
INSERT INTO "pings" VALUES(1,0);
CREATE TABLE polls (
    tenant TEXT PRIMARY KEY,
    cursor TEXT,
    finished_at INTEGER,
    succeeded_at INTEGER,
    token INTEGER NOT NULL,
    lease_until INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO "polls" VALUES('acme','cursor-2',1800000000000,1800000000000,1,NULL);
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
INSERT INTO "requests" VALUES(1,1,'req-1',1,'numora','read document','GET','https://x.example/rows',1800000000000,200,12,NULL,NULL,NULL);
INSERT INTO "requests" VALUES(2,1,'req-2',1,'dataverse','create row','POST','https://x.example/rows',1800000000000,204,30,NULL,NULL,NULL);
CREATE INDEX deliveries_of_document ON deliveries (tenant, document_id);
CREATE INDEX deliveries_by_state ON deliveries (tenant, state);
CREATE INDEX deliveries_by_error ON deliveries (tenant, error_code, state) WHERE error_code IS NOT NULL;
CREATE INDEX deliveries_ready ON deliveries (tenant, step, ready_at, schema, lease_until) WHERE ready_at IS NOT NULL;
CREATE INDEX attempts_of_delivery ON attempts (delivery);
COMMIT;
PRAGMA user_version = 1;
