//! Fernet: AES-128-CBC, then HMAC-SHA256, with the time of issue in the clear. <https://github.com/fernet/spec>

use aes::Aes128;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Padding is written off tokens, and put up with on them.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const VERSION: u8 = 0x80;
const HEADER: usize = 1 + 8 + 16;
const BLOCK: usize = 16;
const MAC: usize = 32;
/// Longer text is no token: HTTP headers are bounded too, but not every caller comes by HTTP.
const MAX_TEXT: usize = 16 * 1024;

/// Signs with the first half and encrypts with the second.
#[derive(Clone, PartialEq, Eq)]
pub struct FernetKey {
    signing: [u8; 16],
    encryption: [u8; 16],
}

impl std::fmt::Debug for FernetKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FernetKey(***)")
    }
}

impl FernetKey {
    pub fn random() -> Self {
        Self { signing: rand::random(), encryption: rand::random() }
    }

    /// 32 bytes in URL-safe base64, as a key file holds them.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 32] = BASE64.decode(text.trim()).ok()?.try_into().ok()?;
        let (signing, encryption) = bytes.split_at(16);
        Some(Self { signing: signing.try_into().ok()?, encryption: encryption.try_into().ok()? })
    }

    pub fn to_text(&self) -> String {
        let mut text = BASE64.encode([self.signing, self.encryption].concat());
        // Python's base64 insists on it
        text.push('=');
        text
    }

    /// `at`: seconds since the epoch.
    pub fn seal(&self, at: u64, payload: &[u8]) -> String {
        self.seal_with(at, rand::random(), payload)
    }

    pub(super) fn seal_with(&self, at: u64, iv: [u8; 16], payload: &[u8]) -> String {
        let mut token = Vec::with_capacity(HEADER + payload.len() + BLOCK + MAC);
        token.push(VERSION);
        token.extend_from_slice(&at.to_be_bytes());
        token.extend_from_slice(&iv);
        token.extend_from_slice(payload);
        let padded = payload.len() - payload.len() % BLOCK + BLOCK;
        token.resize(HEADER + padded, 0);
        let cipher = cbc::Encryptor::<Aes128>::new(&self.encryption.into(), &iv.into());
        // the buffer has room for the padding, so this cannot fail
        let _body = cipher.encrypt_padded::<Pkcs7>(&mut token[HEADER..], payload.len());
        let mac = self.mac(&token).finalize().into_bytes();
        token.extend_from_slice(&mac);
        BASE64.encode(token)
    }

    fn mac(&self, signed: &[u8]) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.signing).unwrap_or_else(|_| unreachable!());
        mac.update(signed);
        mac
    }

    fn open(&self, token: &[u8]) -> Option<Vec<u8>> {
        let (signed, mac) = token.split_at_checked(token.len().checked_sub(MAC)?)?;
        self.mac(signed).verify_slice(mac).ok()?;
        let iv: [u8; 16] = signed.get(9..HEADER)?.try_into().ok()?;
        let mut body = signed.get(HEADER..)?.to_vec();
        let cipher = cbc::Decryptor::<Aes128>::new(&self.encryption.into(), &iv.into());
        let length = cipher.decrypt_padded::<Pkcs7>(&mut body).ok()?.len();
        body.truncate(length);
        Some(body)
    }
}

/// Seconds of issue and the payload, if one of the keys signed it.
pub fn open(keys: &[FernetKey], text: &str) -> Option<(u64, Vec<u8>)> {
    if text.len() > MAX_TEXT {
        return None;
    }
    let token = BASE64.decode(text).ok()?;
    if token.first() != Some(&VERSION) {
        return None;
    }
    let at = u64::from_be_bytes(token.get(1..9)?.try_into().ok()?);
    keys.iter().find_map(|key| key.open(&token)).map(|payload| (at, payload))
}
