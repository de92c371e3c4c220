-- A guest's password is kept until it is made, and no longer.
UPDATE instances SET admin_pass = NULL WHERE admin_pass IS NOT NULL AND task_state IS NULL;

-- Deleted servers are forgotten after a while, the longest deleted first.
CREATE INDEX instances_deleted ON instances (deleted_at) WHERE deleted_at IS NOT NULL;
