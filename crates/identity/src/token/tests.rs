use super::fernet::{self, FernetKey};
use super::*;
use base::Timestamp;
use std::os::unix::fs::PermissionsExt;

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const USER: &str = "0123456789abcdef0123456789abcdef";
const PROJECT: &str = "fedcba9876543210fedcba9876543210";
const AUDIT: &str = "AAECAwQFBgcICQoLDA0ODw";

fn token(scope: TokenScope, methods: i64) -> Token {
    Token {
        user_id: USER.into(),
        methods: Methods::from_bits(methods).unwrap(),
        scope,
        trust_id: None,
        application_credential_id: None,
        issued_at: Timestamp(1_767_323_045_000_000),
        expires_at: Timestamp(1_767_326_645_000_000),
        audit_ids: vec![AUDIT.into()],
    }
}

/// Made with Python's `cryptography` and `msgpack`, the libraries Keystone makes them with: key and IV are 0, 1, 2 …
fn made_by_keystones_libraries() -> Vec<(Token, &'static str)> {
    let project = || TokenScope::Project(PROJECT.into());
    vec![
        (
            token(TokenScope::Unscoped, 2),
            "gAAAAABpVzWlAAECAwQFBgcICQoLDA0OD7z89wY20ZMdYIv5Ujo321NDvRIB-9NMzoT_Xa0Gmifw7jCWs3BNL3uATGNh82eZHW49guF3rvwXgXnSXH6iDPwKrJkA1pKCpvZ3Uz-1lqBM4-sWwf8cFOD5k8qp80m44Q",
        ),
        (
            Token { user_id: "admin".into(), ..token(TokenScope::Domain("default".into()), 2) },
            "gAAAAABpVzWlAAECAwQFBgcICQoLDA0ODwMFsxctWCcSv3oRxTy8sqZqIPjC9cAhP_8z_FZvLH21XmY0v82BNAAfzDlIDcCntk33heyymm2gEdlCrDQNFH2xopmt8heXOHfjxQTnFyp8",
        ),
        (
            token(TokenScope::Domain(PROJECT.into()), 2),
            "gAAAAABpVzWlAAECAwQFBgcICQoLDA0OD2EBWdD1Zxio9wvYc1VK3y1nKknSZ4ealzWs019obr_NjLmIiIDgbVUzeoRCL1DC-EYfBWHf1GIlgApCAhaVFf0uvb6KKo7I1tiZuQsfbOEWfBdnIAZV9FjGN45Okb4pajMDU4J8Kn2xOyGkoBcNIaU",
        ),
        (
            Token { audit_ids: vec![AUDIT.into(), AUDIT.into()], ..token(project(), 6) },
            "gAAAAABpVzWlAAECAwQFBgcICQoLDA0OD_dw0x57ONbK4JeO4YDXq1zbtKI_FVkGPN5_MxlarQp9Nkqu9pYJoczoPt1BG3NSVTLnp9dqjLtUDaK6hvndDk9fjmA8VnpcNhbuCzo9o2DPthZHayMyEtfagjADSosjIU04v-_dwcTocghNMmeKBSArWlGxuMPpMu90xZTbxJNs",
        ),
        (
            Token { trust_id: Some(PROJECT.into()), ..token(project(), 2) },
            "gAAAAABpVzWlAAECAwQFBgcICQoLDA0OD_8lR1PKGYv8NkUwN2kt-kr92tQaBy5ydS6VDgUtJJsO9s1inwRtVzIVg09ere2vG71PIximuCxIzOY2yS7EMzYV0Vs3BUM2j7DOEGovIockNv7iNcwKg9lrZPadu6wYlGPXl2nXiukkejh2EOcAL2tmjznE70QGSbbxS0RbgjLi",
        ),
        (
            token(TokenScope::System, 2),
            "gAAAAABpVzWlAAECAwQFBgcICQoLDA0ODzRI4ECPL7jkVaO6inBKd_OLj17pCqD80cntf6Tgj-oaHSywyMK2mGPUyTCoaYXqZ-DGqQvzLTKbzBbL9f5N9GQcC08V-7IL2uJtUc-9VGarqfk5c-xMDDDMOdkwQEfLgQ",
        ),
        (
            Token { application_credential_id: Some(PROJECT.into()), ..token(project(), 32) },
            "gAAAAABpVzWlAAECAwQFBgcICQoLDA0OD48tqWwNtMujGVsHV35aW2qXRpegscHfGZUW8bNbGHIXCig50qJmgsZjB6eFissVwCbRVABMuZO7vSWCbk_8hY6g0YJHX6lhK_RoT7Yu-x7Khd2RE2VrCcBx7lDJ-72kuVCgBEB98xiy4xjx9yq5SH7e_zvxdmoTEk7__s-zbvzc",
        ),
    ]
}

#[test]
fn tokens_are_byte_for_byte_keystones() {
    let key = FernetKey::parse(KEY).unwrap();
    for (token, text) in made_by_keystones_libraries() {
        let iv: [u8; 16] = std::array::from_fn(|i| u8::try_from(i).unwrap());
        assert_eq!(key.seal_with(1_767_323_045, iv, &token.pack()), text);
        for padded in [text.to_owned(), format!("{text}{}", "=".repeat((4 - text.len() % 4) % 4))] {
            let (at, payload) = fernet::open(&[FernetKey::random(), key.clone()], &padded).unwrap();
            assert_eq!(Token::unpack(at, &payload), Some(token.clone()));
        }
    }
}

#[test]
fn the_spec_s_own_vector_opens() {
    // https://github.com/fernet/spec/blob/master/verify.json
    let key = FernetKey::parse("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=").unwrap();
    let text = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";
    assert_eq!(fernet::open(&[key], text), Some((499_162_800, b"hello".to_vec())));
}

#[test]
fn one_changed_character_makes_it_void() {
    let key = FernetKey::parse(KEY).unwrap();
    let text = key.seal(1_767_323_045, &token(TokenScope::System, 2).pack());
    assert!(fernet::open(std::slice::from_ref(&key), &text).is_some());
    for i in 0..text.len() - 1 {
        let mut bytes = text.clone().into_bytes();
        bytes[i] = if bytes[i] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(bytes).unwrap();
        assert_eq!(fernet::open(std::slice::from_ref(&key), &forged), None, "at {i}");
    }
    let long = "A".repeat(1 << 20);
    for bad in ["", "gAAAAA", "not a token", "gAAAAABpVzWlAAECAwQFBgcICQoLDA0OD", &long, "ünïcode"] {
        assert_eq!(fernet::open(std::slice::from_ref(&key), bad), None);
    }
}

#[test]
fn payloads_that_are_not_ours_are_refused() {
    for bytes in
        [&b""[..], b"\x90", b"\x91\x00", b"\x94\x63\xc0\xc0\xc0", b"\xff\xff", b"\x94\x00\x92\xc3\xa1a\x02\xcb"]
    {
        assert_eq!(Token::unpack(0, bytes), None);
    }
}

#[test]
fn rotation_keeps_old_tokens_for_a_while_and_files_private() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("keys");
    let repository = KeyRepository::open(&at, 3).unwrap();
    let first = repository.seal(1, b"first");
    let elsewhere = KeyRepository::open(&at, 3).unwrap();
    assert_eq!(elsewhere.open_token(&first), Some((1, b"first".to_vec())));
    repository.rotate().unwrap();
    let second = repository.seal(2, b"second");
    assert!(repository.open_token(&first).is_some());
    // made with what was the staged key, which everybody had already
    assert_eq!(elsewhere.open_token(&second), Some((2, b"second".to_vec())));
    repository.rotate().unwrap();
    assert!(repository.open_token(&second).is_some());
    assert_eq!(repository.open_token(&first), None, "two rotations with three keys: gone");

    let mut names: Vec<String> =
        std::fs::read_dir(&at).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["0", "2", "3"]);
    for name in names {
        let mode = std::fs::metadata(at.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn processes_that_make_the_repository_together_end_with_the_same_keys() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("keys");
    let opened: Vec<KeyRepository> = std::thread::scope(|s| {
        let threads: Vec<_> = (0..8).map(|_| s.spawn(|| KeyRepository::open(&at, 3).unwrap())).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    for one in &opened {
        let token = one.seal(1, b"x");
        assert!(opened.iter().all(|other| other.open_token(&token).is_some()));
    }
    assert_eq!(std::fs::read_dir(&at).unwrap().count(), 2);
}

#[test]
fn a_damaged_key_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("1"), "short").unwrap();
    assert!(KeyRepository::open(dir.path(), 3).unwrap_err().to_string().contains("/1: not a Fernet key"));
}

#[test]
fn the_cache_is_bounded_and_keeps_what_is_used() {
    let cache = TokenCache::new(10);
    cache.put("used", 0);
    for n in 0..100 {
        cache.put(&format!("t{n}"), n);
        assert_eq!(cache.get("used"), Some(0), "after {n}");
        assert!(cache.len() <= 20);
    }
    assert_eq!(cache.get("t1"), None);
    cache.forget("used");
    assert_eq!(cache.get("used"), None);
}
