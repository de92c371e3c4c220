-- Images in several stores.

-- The store's name in the configuration. '': written before stores had names; it is the one whose URLs look like this one.
ALTER TABLE image_locations ADD COLUMN store TEXT NOT NULL DEFAULT '';
-- The first to be read from has the lowest.
ALTER TABLE image_locations ADD COLUMN position BIGINT NOT NULL DEFAULT 0;

-- Data that is on its way to become an image's, or that is to be deleted. Written before the first byte is, so that
-- nobody needs to look for bytes of processes that died: from `due` on they are nobody's, unless they have become a
-- location by then.
CREATE TABLE image_leftovers (
    image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    store TEXT NOT NULL,
    url TEXT NOT NULL,
    due BIGINT NOT NULL,
    -- somebody has been told to delete it: it cannot become a location any more
    condemned BOOLEAN NOT NULL,
    PRIMARY KEY (image_id, url)
);
CREATE INDEX image_leftovers_due ON image_leftovers (due);
