-- Work on images that goes on after its request was answered.

CREATE TABLE image_tasks (
    id TEXT PRIMARY KEY,
    type TEXT NOT NULL,
    status TEXT NOT NULL,
    owner TEXT,
    user_id TEXT,
    request_id TEXT NOT NULL,
    image_id TEXT REFERENCES images (id) ON DELETE CASCADE,
    -- JSON: what was asked for, shown to clients; and what is done about it, for the service itself
    input TEXT NOT NULL,
    plan TEXT NOT NULL,
    result TEXT,
    message TEXT NOT NULL,
    -- whose staging folder it needs; NULL: anybody may do it
    node TEXT,
    -- who does it, and until when he is believed to be alive
    holder TEXT,
    held_until BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    deadline BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    expires_at BIGINT
);
-- one at a time
CREATE UNIQUE INDEX image_tasks_active ON image_tasks (image_id) WHERE status IN ('pending', 'processing');
CREATE INDEX image_tasks_due ON image_tasks (held_until) WHERE status IN ('pending', 'processing');
CREATE INDEX image_tasks_image ON image_tasks (image_id);
CREATE INDEX image_tasks_newest ON image_tasks (created_at, id);
CREATE INDEX image_tasks_expiring ON image_tasks (expires_at) WHERE expires_at IS NOT NULL;

-- Data that waits for its import in a node's own folder. Written before the first byte is; what a node's folder has and
-- this has not is rubbish.
CREATE TABLE image_staged (
    image_id TEXT PRIMARY KEY REFERENCES images (id) ON DELETE CASCADE,
    node TEXT NOT NULL,
    upload TEXT NOT NULL,
    -- all of it is there
    complete BOOLEAN NOT NULL
);
CREATE INDEX image_staged_node ON image_staged (node);
CREATE INDEX images_stages ON images (upload_until) WHERE status = 'uploading';
