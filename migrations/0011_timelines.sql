-- The PostgreSQL servers that this database has been on, in order: a server whose history is another one may lack what
-- was stored last. Empty on SQLite.
CREATE TABLE database_timelines (
    -- 1: the first one seen
    number BIGINT PRIMARY KEY,
    -- PostgreSQL's system identifier, the same on a primary and its replicas
    system TEXT NOT NULL,
    -- raised by every promotion of a replica
    timeline BIGINT NOT NULL,
    since BIGINT NOT NULL
);

-- Guests that a host has found and that nobody has assigned to it. They are told, and never touched.
CREATE TABLE unknown_guests (
    host TEXT NOT NULL,
    instance TEXT NOT NULL,
    -- the power it was seen in
    power TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (host, instance)
);
