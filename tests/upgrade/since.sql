-- A row for each table that was made after the fixture's schema.
INSERT INTO compute_migrations (id, uuid, instance, project_id, user_id, migration_type, status, source_compute, source_open, created_at)
    SELECT 1, 'a-move', MIN(uuid), 'p', 'u', 'evacuation', 'done', 'one', TRUE, 17 FROM instances;
INSERT INTO image_leftovers (image_id, store, url, due, condemned) SELECT MIN(id), 's', 'file:///é', 17, TRUE FROM images;
INSERT INTO image_tasks (id, type, status, request_id, image_id, input, plan, message, held_until, tries, deadline, created_at, updated_at)
    SELECT 'a-task', 'import', 'pending', 'r', MIN(id), '{"a": "b''c"}', '{}', '', 0, 3, 17, 17, 17 FROM images;
INSERT INTO image_staged (image_id, node, upload, complete) SELECT MIN(id), 'n', 'u', FALSE FROM images;
INSERT INTO unknown_guests (host, instance, power, since) VALUES ('one', 'a-guest', 'running', 17);
INSERT INTO identity_totp_steps (credential_id, step) SELECT MIN(id), 17 FROM identity_credentials;
INSERT INTO image_cached (image_id, node, seen_at) SELECT MIN(id), 'http://n', 17 FROM images;
