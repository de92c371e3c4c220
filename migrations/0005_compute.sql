-- Compute. Child data that is always read with its parent (metadata, tags, flavor, fault) is JSON in the parent's row,
-- so that a list of servers is one statement.

CREATE TABLE flavors (
    -- what OpenStack calls flavorid: a uuid or any short text
    flavor_id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    vcpus BIGINT NOT NULL,
    ram_mib BIGINT NOT NULL,
    root_gib BIGINT NOT NULL,
    ephemeral_gib BIGINT NOT NULL,
    swap_mib BIGINT NOT NULL,
    rxtx_factor DOUBLE PRECISION NOT NULL,
    is_public BOOLEAN NOT NULL,
    disabled BOOLEAN NOT NULL,
    description TEXT,
    extra_specs TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT
);
CREATE TABLE flavor_access (
    flavor_id TEXT NOT NULL REFERENCES flavors (flavor_id) ON DELETE CASCADE,
    project_id TEXT NOT NULL,
    PRIMARY KEY (flavor_id, project_id)
);

CREATE TABLE keypairs (
    id BIGINT PRIMARY KEY,
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    public_key TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (user_id, name)
);

-- nova-compute, nova-scheduler, nova-conductor as os-services shows them. last_seen: when it last asked for work.
CREATE TABLE compute_services (
    id BIGINT PRIMARY KEY,
    uuid TEXT NOT NULL UNIQUE,
    host TEXT NOT NULL,
    "binary" TEXT NOT NULL,
    disabled BOOLEAN NOT NULL,
    disabled_reason TEXT,
    forced_down BOOLEAN NOT NULL,
    last_seen BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT,
    UNIQUE (host, "binary")
);

-- A hypervisor: one a host. Its uuid is also its resource provider in placement.
CREATE TABLE hypervisors (
    id BIGINT PRIMARY KEY,
    uuid TEXT NOT NULL UNIQUE,
    host TEXT NOT NULL UNIQUE,
    hypervisor_hostname TEXT NOT NULL,
    hypervisor_type TEXT NOT NULL,
    hypervisor_version BIGINT NOT NULL,
    host_ip TEXT NOT NULL,
    vcpus BIGINT NOT NULL,
    ram_mib BIGINT NOT NULL,
    disk_gib BIGINT NOT NULL,
    cpu_info TEXT NOT NULL,
    traits TEXT NOT NULL,
    -- when the host was switched on; null: it cannot say
    booted_at BIGINT,
    -- consecutive builds that failed here, for the build failure weigher
    failed_builds BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT
);

CREATE TABLE aggregates (
    id BIGINT PRIMARY KEY,
    uuid TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    -- availability_zone is one of these
    metadata TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT
);
CREATE TABLE aggregate_hosts (
    aggregate_id BIGINT NOT NULL REFERENCES aggregates (id) ON DELETE CASCADE,
    host TEXT NOT NULL,
    PRIMARY KEY (aggregate_id, host)
);
CREATE INDEX aggregate_hosts_host ON aggregate_hosts (host);

CREATE TABLE server_groups (
    uuid TEXT PRIMARY KEY,
    -- in the order of creation: lists are sorted by it
    id BIGINT NOT NULL UNIQUE,
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    policy TEXT NOT NULL,
    rules TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX server_groups_project ON server_groups (project_id);

CREATE TABLE instances (
    uuid TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    hostname TEXT NOT NULL,
    -- null until a host is chosen, and again when the server has none
    host TEXT,
    node TEXT,
    vm_state TEXT NOT NULL,
    task_state TEXT,
    power_state BIGINT NOT NULL,
    progress BIGINT NOT NULL,
    vcpus BIGINT NOT NULL,
    ram_mib BIGINT NOT NULL,
    -- root and ephemeral disks together: what hypervisors and usage reports sum up
    disk_gib BIGINT NOT NULL,
    flavor_id TEXT NOT NULL,
    -- JSON of FlavorSpec, as it was at create
    flavor TEXT NOT NULL,
    -- JSON of ImageSpec; null: boots from a volume
    image TEXT,
    image_id TEXT,
    key_name TEXT,
    -- JSON of KeypairSpec
    keypair TEXT,
    user_data TEXT,
    metadata TEXT NOT NULL,
    system_metadata TEXT NOT NULL,
    tags TEXT NOT NULL,
    -- JSON list of InjectedFile
    files TEXT NOT NULL,
    config_drive BOOLEAN NOT NULL,
    admin_pass TEXT,
    -- the zone it is in, and the one it was asked to stay in
    availability_zone TEXT,
    pinned_availability_zone TEXT,
    requested_host TEXT,
    requested_node TEXT,
    scheduler_hints TEXT NOT NULL,
    server_group TEXT REFERENCES server_groups (uuid) ON DELETE SET NULL,
    launch_index BIGINT NOT NULL,
    reservation_id TEXT NOT NULL,
    root_device_name TEXT,
    access_ip_v4 TEXT,
    access_ip_v6 TEXT,
    disk_config TEXT NOT NULL,
    trusted_certificates TEXT,
    -- null, 'owner' or 'admin'
    locked_by TEXT,
    locked_reason TEXT,
    -- JSON {code, created, message, details}; null: none
    fault TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    launched_at BIGINT,
    terminated_at BIGINT,
    deleted_at BIGINT
);
CREATE INDEX instances_project ON instances (project_id, created_at, uuid) WHERE deleted_at IS NULL;
CREATE INDEX instances_created ON instances (created_at, uuid) WHERE deleted_at IS NULL;
CREATE INDEX instances_host ON instances (host) WHERE deleted_at IS NULL;
CREATE INDEX instances_building ON instances (host) WHERE vm_state = 'building' AND deleted_at IS NULL;
CREATE INDEX instances_changed ON instances (updated_at);
CREATE INDEX instances_group ON instances (server_group) WHERE server_group IS NOT NULL;

-- What a host should do about an instance: at most one row each. generation counts up with every new want; reported is
-- the newest generation the host has answered for.
CREATE TABLE assignments (
    instance TEXT PRIMARY KEY REFERENCES instances (uuid) ON DELETE CASCADE,
    -- null: no host at present; the row only keeps the generation
    host TEXT,
    generation BIGINT NOT NULL,
    reported BIGINT NOT NULL,
    -- JSON of Want
    want TEXT NOT NULL,
    operation TEXT NOT NULL,
    deadline BIGINT NOT NULL
);
CREATE INDEX assignments_host ON assignments (host);
CREATE INDEX assignments_open ON assignments (host) WHERE reported < generation;

CREATE TABLE instance_actions (
    id BIGINT PRIMARY KEY,
    instance TEXT NOT NULL REFERENCES instances (uuid) ON DELETE CASCADE,
    action TEXT NOT NULL,
    request_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    message TEXT,
    started_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    finished_at BIGINT
);
CREATE INDEX instance_actions_instance ON instance_actions (instance, started_at);
CREATE INDEX instance_actions_request ON instance_actions (instance, request_id);
CREATE TABLE instance_action_events (
    id BIGINT PRIMARY KEY,
    action_id BIGINT NOT NULL REFERENCES instance_actions (id) ON DELETE CASCADE,
    event TEXT NOT NULL,
    host TEXT,
    started_at BIGINT NOT NULL,
    finished_at BIGINT,
    -- null while it runs, then 'Success' or 'Error'
    result TEXT,
    details TEXT
);
CREATE INDEX instance_action_events_action ON instance_action_events (action_id);

-- What differs from the default: a project's limits, a user's within it (user_id '' = the project), a class's.
CREATE TABLE quota_limits (
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    resource TEXT NOT NULL,
    amount BIGINT NOT NULL,
    PRIMARY KEY (project_id, user_id, resource)
);
CREATE TABLE quota_classes (
    class TEXT NOT NULL,
    resource TEXT NOT NULL,
    amount BIGINT NOT NULL,
    PRIMARY KEY (class, resource)
);
-- Counted use of instances, cores, ram (MiB): changed in the transaction that changes the servers.
CREATE TABLE quota_usage (
    project_id TEXT NOT NULL,
    resource TEXT NOT NULL,
    in_use BIGINT NOT NULL,
    PRIMARY KEY (project_id, resource)
);
