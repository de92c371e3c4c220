//! Passwords and reservation ids that nobody can guess or misread.

use rand::seq::{IndexedRandom, SliceRandom};

/// Letters and digits that cannot be taken for one another.
const DIGITS: &[u8] = b"23456789";
const UPPER: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ";
const LOWER: &[u8] = b"abcdefghijkmnopqrstuvwxyz";
/// Nova's `password_length`.
const LENGTH: usize = 12;

/// A password with at least one of each kind.
pub(in crate::servers) fn generate() -> String {
    let mut rng = rand::rng();
    let all: Vec<u8> = [DIGITS, UPPER, LOWER].concat();
    let mut password: Vec<u8> =
        [DIGITS, UPPER, LOWER].iter().filter_map(|kind| kind.choose(&mut rng).copied()).collect();
    while password.len() < LENGTH {
        password.extend(all.choose(&mut rng));
    }
    password.shuffle(&mut rng);
    password.into_iter().map(char::from).collect()
}

/// `r-` and eight letters or digits.
pub(super) fn reservation_id() -> String {
    let mut rng = base::entropy::rng();
    let letters: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let picked = (0..8).filter_map(|_| letters.choose(&mut rng)).map(|b| char::from(*b));
    "r-".chars().chain(picked).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_password_has_every_kind() {
        for _ in 0..100 {
            let p = generate();
            assert_eq!(p.len(), LENGTH);
            for kind in [DIGITS, UPPER, LOWER] {
                assert!(p.bytes().any(|b| kind.contains(&b)), "{p}");
            }
        }
        assert_ne!(generate(), generate());
        assert_eq!(reservation_id().len(), 10);
    }
}
