//! One-time passwords by time (RFC 6238), with Keystone's parameters: SHA-1, 6 digits, 30 seconds, the step before the
//! present one taken, too. Each is good once (RFC 6238, 5.2), in all processes.

use super::attempt::Attempt;
use crate::store::credentials::{self, CredentialRow};
use crate::store::totp_steps;
use crate::store::users::UserRow;
use crate::{Error, Identity};
use base::{Secret, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

/// Seconds.
const STEP: i64 = 30;
/// Keystone's `[totp] included_previous_windows`.
const PREVIOUS: i64 = 1;
const DIGITS: u32 = 1_000_000;

impl Identity {
    /// The user, if the passcode is theirs and they may log in.
    pub(super) async fn check_passcode(
        &self,
        user: Option<UserRow>,
        passcode: &Secret,
        attempt: &mut Attempt,
    ) -> Result<UserRow, Error> {
        // asked for nobody, too: the answer's time does not say who there is
        let id = user.as_ref().map(|u| u.id.as_str()).unwrap_or_default();
        let kept = credentials::list(self.db(), Some(id), Some("totp")).await?;
        let now = self.now();
        let found = kept.iter().find_map(|c| Some((c, step_of(&self.secret_of(c)?, passcode.expose(), now)?)));
        let user = user.ok_or_else(|| attempt.refuse("no such user"))?;
        let Some((credential, step)) = found else { return Err(attempt.refuse("wrong passcode")) };
        if !user.enabled {
            return Err(attempt.refuse("user disabled"));
        }
        if self.is_locked(&user) {
            return Err(attempt.refuse("account locked"));
        }
        let mut tx = self.db().begin().await?;
        let is_first = totp_steps::use_up(&mut tx, &credential.id, step).await?;
        tx.commit().await?;
        if is_first { Ok(user) } else { Err(attempt.refuse("passcode used before")) }
    }

    fn secret_of(&self, c: &CredentialRow) -> Option<Vec<u8>> {
        base32(&self.unseal(&c.encrypted_blob)?)
    }
}

/// The step whose passcode this is.
fn step_of(secret: &[u8], passcode: &str, now: Timestamp) -> Option<i64> {
    let present = now.0.div_euclid(1_000_000).div_euclid(STEP);
    let right = |step: &i64| bool::from(passcode_at(secret, *step).as_bytes().ct_eq(passcode.as_bytes()));
    (present - PREVIOUS..=present).rev().find(right)
}

/// RFC 4226's HOTP.
fn passcode_at(secret: &[u8], step: i64) -> String {
    let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(secret).unwrap_or_else(|_| unreachable!());
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let at = usize::from(digest[19] & 0xf);
    let word = u32::from_be_bytes([digest[at], digest[at + 1], digest[at + 2], digest[at + 3]]) & 0x7fff_ffff;
    format!("{:06}", word % DIGITS)
}

/// RFC 4648, in either case, with or without padding and the spaces that people are shown.
fn base32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut have) = (0u32, 0);
    for c in text.trim_end_matches('=').bytes().filter(|c| !c.is_ascii_whitespace()) {
        let value = match c.to_ascii_uppercase() {
            c @ b'A'..=b'Z' => c - b'A',
            c @ b'2'..=b'7' => c - b'2' + 26,
            _ => return None,
        };
        bits = bits << 5 | u32::from(value);
        have += 5;
        if have >= 8 {
            have -= 8;
            bytes.push((bits >> have & 0xff) as u8);
        }
    }
    (!bytes.is_empty()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, cut to six digits.
    #[test]
    fn the_rfc_s_own_vectors() {
        let secret = base32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap();
        assert_eq!(secret, b"12345678901234567890");
        for (seconds, want) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(passcode_at(&secret, seconds / STEP), want, "{seconds}");
        }
    }

    #[test]
    fn the_present_step_and_the_one_before() {
        let at = |seconds: i64| Timestamp(seconds * 1_000_000);
        let code = passcode_at(b"secret", 100);
        assert_eq!(step_of(b"secret", &code, at(3000)), Some(100));
        assert_eq!(step_of(b"secret", &code, at(3059)), Some(100));
        assert_eq!(step_of(b"secret", &code, at(3060)), None);
        assert_eq!(step_of(b"secret", &code, at(2999)), None);
        assert_eq!(step_of(b"secret", "", at(3000)), None);
    }

    #[test]
    fn base32_as_people_type_it() {
        assert_eq!(base32("mzxw 6ytb oi======"), Some(b"foobar".to_vec()));
        assert_eq!(base32("MZXW6==="), Some(b"foo".to_vec()));
        for bad in ["", "====", "M1", "é"] {
            assert_eq!(base32(bad), None, "{bad}");
        }
    }
}
