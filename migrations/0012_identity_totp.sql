-- One-time passwords by time: up to which step a credential's are used up.

CREATE TABLE identity_totp_steps (
    credential_id TEXT PRIMARY KEY REFERENCES identity_credentials (id) ON DELETE CASCADE,
    step BIGINT NOT NULL
);
