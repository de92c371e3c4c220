-- Images: what they are, where their data is, and who may see them.

CREATE TABLE images (
    id TEXT PRIMARY KEY,
    name TEXT,
    status TEXT NOT NULL,
    visibility TEXT NOT NULL,
    owner TEXT,
    disk_format TEXT,
    container_format TEXT,
    -- GiB and MiB
    min_disk BIGINT NOT NULL,
    min_ram BIGINT NOT NULL,
    -- bytes
    size BIGINT,
    virtual_size BIGINT,
    checksum TEXT,
    os_hash_algo TEXT,
    os_hash_value TEXT,
    protected BOOLEAN NOT NULL,
    os_hidden BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    -- the row stays, so that no later image has its id
    deleted_at BIGINT,
    -- goes up with every change; a writer that decided on an older one is refused
    revision BIGINT NOT NULL,
    -- who is storing data into it, while it is 'saving', and until when he is believed to be alive
    upload TEXT,
    upload_until BIGINT
);
CREATE INDEX images_newest ON images (created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX images_owner ON images (owner) WHERE deleted_at IS NULL;
CREATE INDEX images_uploads ON images (upload_until) WHERE status = 'saving';

-- Of a deleted image: data that is still to be deleted.
CREATE TABLE image_locations (
    image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    url TEXT NOT NULL,
    PRIMARY KEY (image_id, url)
);

CREATE TABLE image_properties (
    image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (image_id, name)
);

CREATE TABLE image_tags (
    image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    value TEXT NOT NULL,
    PRIMARY KEY (image_id, value)
);
CREATE INDEX image_tags_value ON image_tags (value, image_id);

-- Projects that a shared image was offered to, and what they said.
CREATE TABLE image_members (
    image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    member TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (image_id, member)
);
CREATE INDEX image_members_member ON image_members (member, image_id);
