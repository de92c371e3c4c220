//! Public keys in OpenSSH's one-line form: `ssh-rsa AAAA… comment`. Checked field by field (RFC 4253, 5656, 8709), so
//! that what we keep is a key and not merely base64.

use super::with_colons;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

/// One field of a key's blob. Each has its length before it.
#[derive(Clone, Copy, Debug)]
enum Field {
    /// A whole number, not negative and not zero.
    Number,
    /// So many bytes.
    Bytes(usize),
    /// Exactly this text.
    Text(&'static str),
    /// A point on a curve, uncompressed: 4, then two numbers of so many bytes.
    Point(usize),
    /// Any text that is not empty.
    Any,
}

use Field::{Any, Bytes, Number, Point, Text};

/// What follows the name of the algorithm.
const ALGORITHMS: &[(&str, &[Field])] = &[
    ("ssh-rsa", &[Number, Number]),
    ("ssh-dss", &[Number, Number, Number, Number]),
    ("ssh-ed25519", &[Bytes(32)]),
    ("ecdsa-sha2-nistp256", &[Text("nistp256"), Point(32)]),
    ("ecdsa-sha2-nistp384", &[Text("nistp384"), Point(48)]),
    ("ecdsa-sha2-nistp521", &[Text("nistp521"), Point(66)]),
    ("sk-ssh-ed25519@openssh.com", &[Bytes(32), Any]),
    ("sk-ecdsa-sha2-nistp256@openssh.com", &[Text("nistp256"), Point(32), Any]),
];

/// MD5 of the key's blob. `None`: it is no public key.
pub(super) fn fingerprint(public_key: &str) -> Option<String> {
    let mut words = public_key.split_whitespace();
    let (algorithm, blob) = (words.next()?, words.next()?);
    let blob = STANDARD.decode(blob).ok()?;
    let (_, fields) = ALGORITHMS.iter().find(|(name, _)| *name == algorithm)?;
    let mut rest = blob.as_slice();
    (take(&mut rest)? == algorithm.as_bytes()).then_some(())?;
    for field in *fields {
        field.holds(take(&mut rest)?).then_some(())?;
    }
    rest.is_empty().then(|| with_colons(&Md5::digest(&blob)))
}

impl Field {
    fn holds(self, value: &[u8]) -> bool {
        match self {
            // the top bit would make it negative
            Number => value.first().is_some_and(|first| first & 0x80 == 0) && value.iter().any(|b| *b != 0),
            Bytes(n) => value.len() == n,
            Text(text) => value == text.as_bytes(),
            Point(n) => value.len() == 1 + 2 * n && value[0] == 4,
            Any => !value.is_empty(),
        }
    }
}

/// The next field: four bytes of length, then so many bytes.
fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (field, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(field)
}

/// `ssh-rsa AAAA… comment` of an RSA key's exponent and modulus, big-endian.
pub(super) fn rsa_line(exponent: &[u8], modulus: &[u8], comment: &str) -> String {
    let mut blob = Vec::with_capacity(modulus.len() + 32);
    let mut put = |field: &[u8]| {
        blob.extend_from_slice(&u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
        blob.extend_from_slice(field);
    };
    put(b"ssh-rsa");
    put(&positive(exponent));
    put(&positive(modulus));
    format!("ssh-rsa {} {comment}", STANDARD.encode(blob))
}

/// Without leading zeros, but with one where the number would look negative.
fn positive(number: &[u8]) -> Vec<u8> {
    let digits: &[u8] = &number[number.iter().take_while(|b| **b == 0).count()..];
    let mut field = Vec::with_capacity(digits.len() + 1);
    if digits.first().is_some_and(|first| first & 0x80 != 0) {
        field.push(0);
    }
    field.extend_from_slice(digits);
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    // made with ssh-keygen; fingerprints by `ssh-keygen -l -E md5`
    const KEYS: &[(&str, &str)] = &[
        (
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILsrvPF40cKY0OYT+qxZzy+PxwgN13RtddNuHqSDGbEZ someone@somewhere",
            "3b:f0:d9:3a:d0:d9:fa:81:56:a5:ee:c4:6f:50:3c:ec",
        ),
        (
            "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCy4oeQzGzLVQgHwnl3+nq3DNLmJTyFMI/XMtWO6fgmmFUwqOzCO7KfLgCkuCDH60SUwLExrCKpsEeJGs8048hwcq7XogWBjaCg6A/k3DwyowPZEJWmht/6x9SOEWosIaqKjok9nyY2xxYpSsQUw1eYDUsKkIubhqca7Pzkus4scNht1P4nMtAuC3TZakqL9pD3NBWwZkTde9nOyc+tRErtykUmXKu4bfkdG2e1/uNofrz82v0zwJKLVxnWorU8J9JNfRkDrzfYn5MeFXcy88wAHXw4eFMNVa1nlFDc/6naEliOCCIhohv1aJH1eYMBj9nDOIgHDs+DIa6vQPcNjGWJ someone@somewhere",
            "41:c1:0e:a9:6a:db:da:29:c0:ea:da:be:01:80:58:71",
        ),
        (
            "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBI5CdUyVQHMoXQNCI5CSIDT1S79PcUSVuwEsyK601THmULdx20urCKi45QlfifNNn6dyUuB7OBUNjzejy1f+zJY= someone@somewhere",
            "da:21:75:4f:18:60:2e:b6:4f:fe:44:1e:c3:8e:e6:19",
        ),
        (
            "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBN7XRthZFN1LNdOx2YVWu2Emn5UD+EIuCwjme4zTcD7idRy0UbxGngeLUNLhVdTDi5Cr5l3tjyybnuBjzMNSG7rS61cCboJnNOiW7XCaUPM/+utEzJGo9Ae1i6wcsEMHeQ== someone@somewhere",
            "b6:93:d5:63:eb:86:ba:69:1a:c7:66:29:c6:d0:20:53",
        ),
        (
            "ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBABhIGZlmAc2VEskH6u+EpNS4JdZJesKaBMpOPyiNgujJvDiSChAIzNZVoE2tzgXCUufmYo4JJ021o47xs6AkSW7vgDcIoliQ6ox3SFh9mEE4Z39bbDAyeTBFqTCsPSrbB32g7PUcQEkBLOzUoy8Rh6BY5mLxz5rY46xaZU8fSozxJTWQw== someone@somewhere",
            "27:83:0b:b4:b0:06:de:da:95:64:77:de:24:5c:b8:15",
        ),
    ];

    #[test]
    fn fingerprints_are_those_of_ssh_keygen() {
        for (key, wanted) in KEYS {
            assert_eq!(fingerprint(key).as_deref(), Some(*wanted), "{key}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let (good, _) = KEYS[0];
        let blob = good.split(' ').nth(1).unwrap();
        for bad in [
            "",
            "ssh-rsa",
            "ssh-rsa JUNK nova@ubuntu",
            &format!("ssh-rsa {} openstack@ubuntu", "A".repeat(2048)),
            &format!("ssh-rsa {blob}"),
            &format!("ssh-ed25519 {}", &blob[..blob.len() - 4]),
            &format!("ssh-ed25519 {blob}AAAA"),
            "ssh-unknown AAAAB3NzaC1yc2E=",
        ] {
            assert_eq!(fingerprint(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_rsa_line_is_a_key() {
        assert!(fingerprint(&rsa_line(&[1, 0, 1], &[0, 0xff, 3, 5], "x")).is_some());
    }
}
