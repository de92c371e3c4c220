-- Moves of servers between hosts, as os-migrations shows them. Today there are evacuations only.
CREATE TABLE compute_migrations (
    id BIGINT PRIMARY KEY,
    uuid TEXT NOT NULL UNIQUE,
    -- outlives the server: its guest may still be on the source
    instance TEXT NOT NULL,
    -- who asked for it
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    -- 'evacuation'
    migration_type TEXT NOT NULL,
    -- Nova's: 'accepted', 'pre-migrating' (placed), 'done' (it runs elsewhere), 'completed' (and the source is free of it),
    -- 'error' (no host), 'failed'
    status TEXT NOT NULL,
    source_compute TEXT NOT NULL,
    source_node TEXT,
    dest_compute TEXT,
    dest_node TEXT,
    -- the destination's address
    dest_host TEXT,
    -- generation of the first assignment elsewhere: from it on the source must not have the guest. Null: it has not left
    left_generation BIGINT,
    -- the source may still have the guest, and what it took there is still claimed, by the migration's uuid
    source_open BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT
);
CREATE INDEX compute_migrations_open ON compute_migrations (source_compute) WHERE source_open;
CREATE INDEX compute_migrations_instance ON compute_migrations (instance);
CREATE INDEX compute_migrations_created ON compute_migrations (created_at, id);
