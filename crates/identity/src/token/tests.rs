use super::fernet::{self, FernetKey};
use super::*;
use base::Timestamp;
use keys::rotate as rotate_keys;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

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

/// Rules that let a test rotate at once.
fn at_once(lives: Option<Duration>) -> Rotation {
    Rotation { settle: Duration::ZERO, lives, at_least: 3 }
}

fn names(at: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(at).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn rotation_never_surprises_a_process_and_files_are_private() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("keys");
    let (here, elsewhere) = (KeyRepository::open(&at).unwrap(), KeyRepository::open(&at).unwrap());
    let first = here.seal(1, b"first");
    let rotated = rotate_keys(&at, &at_once(Some(Duration::ZERO))).unwrap();
    assert_eq!(rotated, Rotated { primary: 2, dropped: vec![], kept: 3 });
    here.refresh();
    // made with what was the staged key, which everybody had already
    let second = here.seal(2, b"second");
    assert_eq!(elsewhere.open_token(&second), Some((2, b"second".to_vec())));
    assert!(here.open_token(&first).is_some());
    assert_eq!(names(&at), ["0", "1", "2"]);
    for name in names(&at) {
        let mode = std::fs::metadata(at.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_key_is_dropped_once_nothing_living_was_made_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let keys = KeyRepository::open(dir.path()).unwrap();
    let first = keys.seal(1, b"first");
    let hour = Duration::from_secs(3600);
    for _ in 0..6 {
        assert_eq!(rotate_keys(dir.path(), &at_once(Some(hour))).unwrap().dropped, Vec::<u64>::new());
    }
    keys.refresh();
    assert!(keys.open_token(&first).is_some(), "however many rotations later");
    // the key stopped being primary when the next one was written
    let aged = |name: &str| {
        let file = std::fs::File::options().write(true).open(dir.path().join(name)).unwrap();
        file.set_modified(SystemTime::now() - hour - Duration::from_secs(5)).unwrap();
    };
    aged("2");
    assert_eq!(rotate_keys(dir.path(), &at_once(Some(hour))).unwrap().dropped, [1]);
    keys.refresh();
    assert_eq!(keys.open_token(&first), None);
    for name in ["3", "4", "5", "6", "7", "8"] {
        aged(name);
    }
    let rotated = rotate_keys(dir.path(), &at_once(Some(hour))).unwrap();
    assert_eq!((rotated.kept, names(dir.path())), (3, vec!["0".into(), "8".into(), "9".into()]), "three at least");
    assert_eq!(rotate_keys(dir.path(), &at_once(None)).unwrap().dropped, Vec::<u64>::new(), "never, if so told");
}

#[test]
fn what_a_rotation_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let rules = Rotation { settle: Duration::from_secs(60), ..at_once(None) };
    assert!(matches!(rotate_keys(dir.path(), &rules), Err(KeyError::Empty(_))));
    let keys = KeyRepository::open(dir.path()).unwrap();
    let before = names(dir.path());
    assert!(matches!(rotate_keys(dir.path(), &rules), Err(KeyError::TooSoon(_))));
    let held = std::fs::File::open(dir.path()).unwrap();
    held.try_lock().unwrap();
    assert!(matches!(rotate_keys(dir.path(), &at_once(None)), Err(KeyError::Busy(_))));
    assert_eq!(names(dir.path()), before, "nothing has changed");
    drop(held);
    // a folder that cannot be read leaves the keys as they are
    let token = keys.seal(1, b"x");
    std::fs::write(dir.path().join("7"), "short").unwrap();
    keys.refresh();
    assert!(keys.open_token(&token).is_some());
    assert!(rotate_keys(dir.path(), &at_once(None)).unwrap_err().to_string().contains("/7: not a Fernet key"));
}

#[test]
fn a_folder_is_read_as_it_was_at_one_moment() {
    let dir = tempfile::tempdir().unwrap();
    let writer = KeyRepository::open(dir.path()).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|s| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                s.spawn(|| {
                    let mine = KeyRepository::open(dir.path()).unwrap();
                    while !done.load(Ordering::Relaxed) {
                        mine.refresh();
                        let before = names(dir.path()).iter().filter_map(|n| n.parse::<u64>().ok()).max();
                        // whatever primary was there before we read, we know
                        let key = std::fs::read_to_string(dir.path().join(before.unwrap().to_string())).unwrap();
                        mine.refresh();
                        let sealed = FernetKey::parse(&key).unwrap().seal(1, b"x");
                        assert!(mine.open_token(&sealed).is_some(), "{before:?}");
                    }
                })
            })
            .collect();
        for _ in 0..30 {
            rotate_keys(dir.path(), &at_once(None)).unwrap();
            writer.refresh();
        }
        done.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|r| r.join().unwrap());
    });
}

#[test]
fn processes_that_make_the_repository_together_end_with_the_same_keys() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("keys");
    let opened: Vec<KeyRepository> = std::thread::scope(|s| {
        let threads: Vec<_> = (0..8).map(|_| s.spawn(|| KeyRepository::open(&at).unwrap())).collect();
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
    assert!(KeyRepository::open(dir.path()).unwrap_err().to_string().contains("/1: not a Fernet key"));
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
