-- Which nodes have a copy of an image in their caches, as they said last.

CREATE TABLE image_cached (
    image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    -- the URL of the node's image-api
    node TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (image_id, node)
);
CREATE INDEX image_cached_node ON image_cached (node);
