//! `identity_totp_steps`: up to when one-time passwords are used up.

use platform_db::{DbError, Tx, args};

/// Takes a step of a credential. False: it, or a later one, was taken before.
pub(crate) async fn use_up(tx: &mut Tx, credential_id: &str, step: i64) -> Result<bool, DbError> {
    let n = tx
        .execute(
            "INSERT INTO identity_totp_steps (credential_id, step) VALUES ($1, $2)
             ON CONFLICT (credential_id) DO UPDATE SET step = EXCLUDED.step WHERE identity_totp_steps.step < EXCLUDED.step",
            args![credential_id, step],
        )
        .await?;
    Ok(n > 0)
}
