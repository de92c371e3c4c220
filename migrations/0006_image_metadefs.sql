-- Metadata definitions: what properties mean, for people and forms. Nothing in the cloud decides by them.

CREATE TABLE metadef_namespaces (
    name TEXT PRIMARY KEY,
    display_name TEXT,
    description TEXT,
    -- 'public' or 'private'
    visibility TEXT NOT NULL,
    owner TEXT,
    protected BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- What a namespace holds: 'property', 'object', 'tag', and 'association' with a resource type.
CREATE TABLE metadef_items (
    namespace TEXT NOT NULL REFERENCES metadef_namespaces (name) ON DELETE CASCADE ON UPDATE CASCADE,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    -- JSON object: everything but the name and the times
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (namespace, kind, name)
);

CREATE TABLE metadef_resource_types (
    name TEXT PRIMARY KEY,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
