-- Identity: who there is, what they may do, and where the services are.
-- "extra" and "options" are JSON objects: attributes a client made up, and the resource options of Keystone.

-- Goes up with every change that could alter what a token means. Whoever caches such facts compares this number.
CREATE TABLE identity_revision (
    id BIGINT PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO identity_revision (id, value) VALUES (1, 1);

-- Domains are projects too, as in Keystone: is_domain, no domain and no parent of their own.
CREATE TABLE identity_projects (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    domain_id TEXT REFERENCES identity_projects (id) ON DELETE CASCADE,
    parent_id TEXT REFERENCES identity_projects (id),
    is_domain BOOLEAN NOT NULL,
    enabled BOOLEAN NOT NULL,
    description TEXT NOT NULL,
    options TEXT NOT NULL,
    extra TEXT NOT NULL
);
CREATE UNIQUE INDEX identity_projects_name ON identity_projects (COALESCE(domain_id, ''), name);
CREATE INDEX identity_projects_parent ON identity_projects (parent_id);

CREATE TABLE identity_project_tags (
    project_id TEXT NOT NULL REFERENCES identity_projects (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    PRIMARY KEY (project_id, name)
);

CREATE TABLE identity_domain_configs (
    domain_id TEXT NOT NULL REFERENCES identity_projects (id) ON DELETE CASCADE,
    group_name TEXT NOT NULL,
    option_name TEXT NOT NULL,
    -- JSON
    value TEXT NOT NULL,
    PRIMARY KEY (domain_id, group_name, option_name)
);

CREATE TABLE identity_users (
    id TEXT PRIMARY KEY,
    domain_id TEXT NOT NULL REFERENCES identity_projects (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    default_project_id TEXT,
    -- null: the user has none and cannot log in with one
    password_hash TEXT,
    password_created_at BIGINT,
    password_expires_at BIGINT,
    -- set by somebody else, so to be changed at the first use where the rules ask for it
    password_by_admin BOOLEAN NOT NULL,
    failed_attempts BIGINT NOT NULL,
    failed_at BIGINT,
    created_at BIGINT NOT NULL,
    options TEXT NOT NULL,
    extra TEXT NOT NULL,
    UNIQUE (domain_id, name)
);

-- Passwords a user had before the present one, numbered from 1.
CREATE TABLE identity_old_passwords (
    user_id TEXT NOT NULL REFERENCES identity_users (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    password_hash TEXT NOT NULL,
    PRIMARY KEY (user_id, number)
);

CREATE TABLE identity_groups (
    id TEXT PRIMARY KEY,
    domain_id TEXT NOT NULL REFERENCES identity_projects (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    extra TEXT NOT NULL,
    UNIQUE (domain_id, name)
);

CREATE TABLE identity_group_members (
    group_id TEXT NOT NULL REFERENCES identity_groups (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES identity_users (id) ON DELETE CASCADE,
    PRIMARY KEY (group_id, user_id)
);
CREATE INDEX identity_group_members_user ON identity_group_members (user_id);

CREATE TABLE identity_roles (
    id TEXT PRIMARY KEY,
    -- null: a role of the whole cloud
    domain_id TEXT REFERENCES identity_projects (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    description TEXT,
    options TEXT NOT NULL,
    extra TEXT NOT NULL
);
CREATE UNIQUE INDEX identity_roles_name ON identity_roles (COALESCE(domain_id, ''), name);

CREATE TABLE identity_implied_roles (
    prior_role_id TEXT NOT NULL REFERENCES identity_roles (id) ON DELETE CASCADE,
    implied_role_id TEXT NOT NULL REFERENCES identity_roles (id) ON DELETE CASCADE,
    PRIMARY KEY (prior_role_id, implied_role_id)
);

-- actor_type: user or group. target_type: project, domain, or system (target_id is then 'system').
-- inherited: holds for everything below the target, not for the target itself.
CREATE TABLE identity_assignments (
    actor_type TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    target_type TEXT NOT NULL,
    target_id TEXT NOT NULL,
    role_id TEXT NOT NULL REFERENCES identity_roles (id) ON DELETE CASCADE,
    inherited BOOLEAN NOT NULL,
    PRIMARY KEY (actor_id, target_id, role_id, inherited, actor_type, target_type)
);
CREATE INDEX identity_assignments_target ON identity_assignments (target_id);
CREATE INDEX identity_assignments_role ON identity_assignments (role_id);

-- Tokens issued up to issued_before are void if what is set here is theirs. Exactly one of the ids is set.
CREATE TABLE identity_revocations (
    id TEXT PRIMARY KEY,
    audit_id TEXT,
    user_id TEXT,
    project_id TEXT,
    domain_id TEXT,
    issued_before BIGINT NOT NULL,
    revoked_at BIGINT NOT NULL
);
CREATE INDEX identity_revocations_audit ON identity_revocations (audit_id);
CREATE INDEX identity_revocations_user ON identity_revocations (user_id);
CREATE INDEX identity_revocations_project ON identity_revocations (project_id);
CREATE INDEX identity_revocations_domain ON identity_revocations (domain_id);
CREATE INDEX identity_revocations_age ON identity_revocations (revoked_at);

CREATE TABLE identity_regions (
    id TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    parent_region_id TEXT REFERENCES identity_regions (id),
    extra TEXT NOT NULL
);

CREATE TABLE identity_services (
    id TEXT PRIMARY KEY,
    type TEXT NOT NULL,
    name TEXT,
    enabled BOOLEAN NOT NULL,
    description TEXT,
    extra TEXT NOT NULL
);

CREATE TABLE identity_endpoints (
    id TEXT PRIMARY KEY,
    service_id TEXT NOT NULL REFERENCES identity_services (id) ON DELETE CASCADE,
    region_id TEXT REFERENCES identity_regions (id),
    interface TEXT NOT NULL,
    url TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    extra TEXT NOT NULL
);
CREATE INDEX identity_endpoints_service ON identity_endpoints (service_id);

CREATE TABLE identity_endpoint_groups (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    description TEXT,
    -- JSON object: service_id, region_id, interface, enabled
    filters TEXT NOT NULL
);
CREATE TABLE identity_project_endpoint_groups (
    project_id TEXT NOT NULL REFERENCES identity_projects (id) ON DELETE CASCADE,
    endpoint_group_id TEXT NOT NULL REFERENCES identity_endpoint_groups (id) ON DELETE CASCADE,
    PRIMARY KEY (project_id, endpoint_group_id)
);
CREATE TABLE identity_project_endpoints (
    project_id TEXT NOT NULL REFERENCES identity_projects (id) ON DELETE CASCADE,
    endpoint_id TEXT NOT NULL REFERENCES identity_endpoints (id) ON DELETE CASCADE,
    PRIMARY KEY (project_id, endpoint_id)
);

CREATE TABLE identity_credentials (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES identity_users (id) ON DELETE CASCADE,
    project_id TEXT,
    type TEXT NOT NULL,
    -- a Fernet token under the keys of the credential repository
    encrypted_blob TEXT NOT NULL,
    extra TEXT NOT NULL
);
CREATE INDEX identity_credentials_user ON identity_credentials (user_id);

CREATE TABLE identity_application_credentials (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES identity_users (id) ON DELETE CASCADE,
    project_id TEXT NOT NULL REFERENCES identity_projects (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    description TEXT,
    secret_hash TEXT NOT NULL,
    expires_at BIGINT,
    unrestricted BOOLEAN NOT NULL,
    UNIQUE (user_id, name)
);
CREATE TABLE identity_application_credential_roles (
    application_credential_id TEXT NOT NULL REFERENCES identity_application_credentials (id) ON DELETE CASCADE,
    role_id TEXT NOT NULL REFERENCES identity_roles (id) ON DELETE CASCADE,
    PRIMARY KEY (application_credential_id, role_id)
);
CREATE TABLE identity_access_rules (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES identity_users (id) ON DELETE CASCADE,
    service TEXT NOT NULL,
    path TEXT NOT NULL,
    method TEXT NOT NULL,
    UNIQUE (user_id, service, path, method)
);
CREATE TABLE identity_application_credential_access_rules (
    application_credential_id TEXT NOT NULL REFERENCES identity_application_credentials (id) ON DELETE CASCADE,
    access_rule_id TEXT NOT NULL REFERENCES identity_access_rules (id),
    PRIMARY KEY (application_credential_id, access_rule_id)
);

CREATE TABLE identity_trusts (
    id TEXT PRIMARY KEY,
    trustor_user_id TEXT NOT NULL REFERENCES identity_users (id) ON DELETE CASCADE,
    trustee_user_id TEXT NOT NULL REFERENCES identity_users (id) ON DELETE CASCADE,
    project_id TEXT REFERENCES identity_projects (id) ON DELETE CASCADE,
    impersonation BOOLEAN NOT NULL,
    expires_at BIGINT,
    remaining_uses BIGINT,
    redelegated_trust_id TEXT REFERENCES identity_trusts (id) ON DELETE CASCADE,
    redelegation_count BIGINT NOT NULL,
    extra TEXT NOT NULL
);
CREATE INDEX identity_trusts_trustor ON identity_trusts (trustor_user_id);
CREATE INDEX identity_trusts_trustee ON identity_trusts (trustee_user_id);
CREATE TABLE identity_trust_roles (
    trust_id TEXT NOT NULL REFERENCES identity_trusts (id) ON DELETE CASCADE,
    role_id TEXT NOT NULL REFERENCES identity_roles (id) ON DELETE CASCADE,
    PRIMARY KEY (trust_id, role_id)
);

CREATE TABLE identity_policies (
    id TEXT PRIMARY KEY,
    type TEXT NOT NULL,
    blob TEXT NOT NULL,
    extra TEXT NOT NULL
);

CREATE TABLE identity_registered_limits (
    id TEXT PRIMARY KEY,
    service_id TEXT NOT NULL REFERENCES identity_services (id),
    region_id TEXT REFERENCES identity_regions (id),
    resource_name TEXT NOT NULL,
    default_limit BIGINT NOT NULL,
    description TEXT
);
CREATE UNIQUE INDEX identity_registered_limits_of
    ON identity_registered_limits (service_id, COALESCE(region_id, ''), resource_name);

-- Exactly one of project_id and domain_id is set.
CREATE TABLE identity_limits (
    id TEXT PRIMARY KEY,
    registered_limit_id TEXT NOT NULL REFERENCES identity_registered_limits (id),
    project_id TEXT REFERENCES identity_projects (id) ON DELETE CASCADE,
    domain_id TEXT REFERENCES identity_projects (id) ON DELETE CASCADE,
    resource_limit BIGINT NOT NULL,
    description TEXT
);
CREATE UNIQUE INDEX identity_limits_of
    ON identity_limits (registered_limit_id, COALESCE(project_id, ''), COALESCE(domain_id, ''));

CREATE TABLE identity_consumers (
    id TEXT PRIMARY KEY,
    description TEXT,
    secret TEXT NOT NULL,
    extra TEXT NOT NULL
);
