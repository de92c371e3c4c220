-- What the platform itself keeps: integer ids for the few places OpenStack shows one, and long work.

CREATE TABLE sequences (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);

-- One row a piece of long work. A worker holds it until lease_until under the number fence; whatever it writes later
-- under an older fence is refused.
CREATE TABLE operations (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    -- what it is about: the uuid of a server, image or node
    subject TEXT NOT NULL,
    project_id TEXT,
    request_id TEXT,
    -- the step to do next, and what the flow wants to remember (JSON)
    step TEXT NOT NULL,
    data TEXT NOT NULL,
    -- 'running': to be worked on at wake_at; 'done'; 'failed'
    state TEXT NOT NULL,
    -- what it waits for, in words for a person; null while it is being worked on
    waiting_for TEXT,
    attempts BIGINT NOT NULL,
    wake_at BIGINT NOT NULL,
    deadline BIGINT NOT NULL,
    lease_owner TEXT,
    lease_until BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX operations_due ON operations (wake_at) WHERE state = 'running';
CREATE INDEX operations_subject ON operations (subject);
-- for forgetting what has long ended
CREATE INDEX operations_ended ON operations (updated_at) WHERE state <> 'running';

-- History of every server, image and node, written in the transaction of the change itself.
CREATE TABLE events (
    id TEXT PRIMARY KEY,
    subject TEXT NOT NULL,
    operation TEXT,
    at BIGINT NOT NULL,
    -- e.g. 'build.scheduled', 'power.off'
    what TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX events_subject ON events (subject, at);
