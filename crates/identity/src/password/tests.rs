use super::*;
use base::Secret;

/// (password, stored): made with passlib 1.7.4 and bcrypt 4.0, not with this code.
const KNOWN: &[(&str, &str)] = &[
    ("hunter2", "$scrypt$ln=8,r=8,p=1$n1PqvRdCiJHSuncOQQih9A$vQV3Hhky7cR1cjCuorPMahp4KN038Sl5Zv+Pg1qpgyo"),
    ("hunter2", "$2b$04$CYQ5/f3yw73bJwNjTDIoheu7ij8etTPsN02rqMkmnCdbTBSWXUrge"),
    ("hunter2", "$bcrypt-sha256$v=2,t=2b,r=4$cwWkMtwvoN77nl5zB5dDA.$hJeu3qV5m0PEemv.iSvs3RQrphwm6t2"),
    ("hunter2", "$bcrypt-sha256$2b,4$G6k2TF17Ufnr39nxNciCh.$iVUXHtx.EW8KLEKbAX8AfOloQGlEkAS"),
    (
        "hunter2",
        "$pbkdf2-sha512$20$wfjfGyNEaG3NuVfq/b/3Pg$nqcpUFiZRIdO5nyWBRH5qhY5hz2T7l82yChAVDvZFaAHC7MQIpzpH4NcZewaiBcemSZHHVPrUMFqTCbwlytA6g",
    ),
    ("pä$$ wörd", "$scrypt$ln=8,r=8,p=1$FCIEoLT2Puf8/z+H0HoPYQ$gp4AQQVSo8WkK8+ATJg2KgYpgzH/q37v1fni8MhMcDw"),
    ("pä$$ wörd", "$2b$04$tDk6lNZcD38xaVVKC5w6DuxhE/7BlOVmWT9IxBKDptPQjuz5Vdany"),
    ("pä$$ wörd", "$bcrypt-sha256$v=2,t=2b,r=4$UwilYq4Vg.TXrQdGG5HNEu$nKL7XcnfURIiuwRo/B9eKuTcbjDPi2C"),
    (
        "pä$$ wörd",
        "$pbkdf2-sha512$20$AuDcW.v9XwvBGKMUIgRAiA$rc1gkxCeKIgBq/XrBWb/m6CkAf4/LQDfNwOWm4hsnREvheaK29eim15JAHrZSA3WsgVcIv5cv2A2nwahIm6HOw",
    ),
];

const CHEAP: [Scheme; 4] = [
    Scheme::Scrypt { log_n: 4, r: 8, p: 1 },
    Scheme::Bcrypt { rounds: 4 },
    Scheme::BcryptSha256 { rounds: 4 },
    Scheme::Pbkdf2Sha512 { rounds: 10 },
];

#[test]
fn hashes_made_elsewhere_are_recognised() {
    for (password, stored) in KNOWN {
        assert_eq!(verify(password, stored), Ok(true), "{stored}");
        assert_eq!(verify(&format!("{password}x"), stored), Ok(false), "{stored}");
    }
}

#[test]
fn what_is_hashed_verifies_and_nothing_else_does() {
    for scheme in CHEAP {
        let stored = hash(scheme, "päss wörd").unwrap();
        assert_eq!(verify("päss wörd", &stored), Ok(true), "{stored}");
        assert_eq!(verify("päss wörd ", &stored), Ok(false), "{stored}");
        assert_ne!(stored, hash(scheme, "päss wörd").unwrap(), "salted");
    }
}

#[test]
fn damaged_and_hostile_hashes_are_errors_not_panics() {
    for bad in [
        "",
        "plain",
        "$",
        "$scrypt$",
        "$scrypt$ln=4,r=8,p=1$!!$!!",
        "$scrypt$ln=99,r=8,p=1$c2FsdA$ZGln",
        "$scrypt$r=8,p=1$c2FsdA$ZGln",
        "$pbkdf2-sha512$x$c2FsdA$ZGln",
        "$2b$04$short",
        "$bcrypt-sha256$v=2$a$b",
        "$6$rounds=5000$salt$digest",
    ] {
        assert!(verify("x", bad).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn the_pool_hashes_and_verifies_and_bounds_its_queue() {
    let pool = HashPool::start(CHEAP[0], 1).unwrap();
    let stored = pool.hash(Secret::new("a")).await.unwrap().unwrap();
    assert!(pool.verify(Secret::new("a"), Some(stored.clone())).await.unwrap());
    assert!(!pool.verify(Secret::new("b"), Some(stored)).await.unwrap());
    assert!(!pool.verify(Secret::new("a"), None).await.unwrap());

    let slow = HashPool::start(Scheme::Pbkdf2Sha512 { rounds: 300 }, 1).unwrap();
    let many: Vec<_> =
        (0..400).map(|_| slow.clone()).map(|p| async move { p.verify(Secret::new("a"), None).await }).collect();
    let results = futures_util::future::join_all(many).await;
    assert!(results.iter().any(Result::is_err), "more than the queue holds are refused");
    assert!(results.iter().any(Result::is_ok));
}
