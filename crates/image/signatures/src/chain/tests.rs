//! Chains that hold, and every way in which one may not.

use super::*;
use base::{Clock, SystemClock};
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use std::path::Path;
use std::process::Command;
use x509_cert::der::{Decode, DecodePem};

/// 2026
const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

struct Made {
    params: CertificateParams,
    key: KeyPair,
    certificate: Certificate,
}

fn params(name: &str, authority: bool) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    if authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    params
}

fn root_of(params: CertificateParams) -> Made {
    let key = KeyPair::generate().unwrap();
    let made = params.self_signed(&key).unwrap();
    Made { certificate: Certificate::from_der(made.der()).unwrap(), params, key }
}

fn root(name: &str) -> Made {
    root_of(params(name, true))
}

impl Made {
    fn issues_of(&self, params: CertificateParams) -> Made {
        let key = KeyPair::generate().unwrap();
        let made = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key)).unwrap();
        Made { certificate: Certificate::from_der(made.der()).unwrap(), params, key }
    }

    fn issues(&self, name: &str, authority: bool) -> Made {
        self.issues_of(params(name, authority))
    }
}

fn checked(leaf: &Made, trusted: &[&Made]) -> Result<(), String> {
    let trusted: Vec<Certificate> = trusted.iter().map(|made| made.certificate.clone()).collect();
    reaches_a_root(&leaf.certificate, &trusted, NOW)
}

fn missing(name: &str) -> Result<(), String> {
    Err(format!(
        "Certificate chain building failed. Could not locate the signing certificate for CN={name} in the set of trusted certificates"
    ))
}

fn unfit(name: &str, why: &str) -> Result<(), String> {
    Err(format!("Certificate chain building failed. The trusted certificate CN={name}: {why}"))
}

#[test]
fn every_certificate_up_to_the_root_must_be_trusted() {
    let root = root("root");
    let middle = root.issues("middle", true);
    let leaf = middle.issues("leaf", false);
    assert_eq!(checked(&leaf, &[&root, &middle]), Ok(()));
    assert_eq!(checked(&leaf, &[&middle, &root]), Ok(()));
    assert_eq!(checked(&root.issues("leaf", false), &[&root]), Ok(()));
    assert_eq!(checked(&leaf, &[]), missing("leaf"));
    assert_eq!(checked(&leaf, &[&root]), missing("leaf"));
    assert_eq!(checked(&leaf, &[&middle]), missing("middle"));
    // that it is trusted itself makes it no root
    assert_eq!(checked(&leaf, &[&leaf]), missing("leaf"));
}

#[test]
fn a_root_may_sign_images_itself() {
    let authority = root("root");
    assert_eq!(checked(&authority, &[&authority]), Ok(()));
    let plain = root_of(params("plain", false));
    assert_eq!(checked(&plain, &[&plain]), unfit("plain", "it is not a certificate authority's"));
}

#[test]
fn a_name_is_not_enough() {
    let (right, wrong) = (root("root"), root("root"));
    let leaf = right.issues("leaf", false);
    assert_eq!(checked(&leaf, &[&wrong]), unfit("root", "it has not signed what it seems to have issued"));
    assert_eq!(checked(&leaf, &[&wrong, &right]), Ok(()));
    assert_eq!(checked(&leaf, &[&right, &wrong]), Ok(()));
}

#[test]
fn who_may_not_issue_has_not() {
    let top = root("root");
    let plain = top.issues("plain", false);
    let refused = checked(&plain.issues("leaf", false), &[&top, &plain]);
    assert_eq!(refused, unfit("plain", "it is not a certificate authority's"));

    let mut other_use = params("crls", true);
    other_use.key_usages = vec![KeyUsagePurpose::CrlSign];
    let crls = top.issues_of(other_use.clone());
    let refused = checked(&crls.issues("leaf", false), &[&top, &crls]);
    assert_eq!(refused, unfit("crls", "its key is not for signing certificates"));
    other_use.key_usages.push(KeyUsagePurpose::KeyCertSign);
    let both = top.issues_of(other_use);
    assert_eq!(checked(&both.issues("leaf", false), &[&top, &both]), Ok(()));
}

#[test]
fn lengths_of_paths() {
    let mut short = params("root", true);
    short.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let top = root_of(short);
    assert_eq!(checked(&top.issues("leaf", false), &[&top]), Ok(()));
    let middle = top.issues("middle", true);
    let refused = checked(&middle.issues("leaf", false), &[&top, &middle]);
    assert_eq!(refused, unfit("root", "more certificates are below it than it allows"));
}

#[test]
fn dates_of_every_certificate_count() {
    for (from, to, why) in [
        (2020, 2021, "Certificate is not valid after: 2021-01-01 00:00:00 UTC"),
        (2100, 2101, "Certificate is not valid before: 2100-01-01 00:00:00 UTC"),
    ] {
        let mut of_another_time = params("root", true);
        of_another_time.not_before = rcgen::date_time_ymd(from, 1, 1);
        of_another_time.not_after = rcgen::date_time_ymd(to, 1, 1);
        let top = root_of(of_another_time);
        assert_eq!(checked(&top.issues("leaf", false), &[&top]), unfit("root", why));
    }
}

#[test]
fn critical_extensions_must_be_understood() {
    let with_one = |name: &str, authority: bool, critical: bool| {
        let mut params = params(name, authority);
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
        extension.set_criticality(critical);
        params.custom_extensions = vec![extension];
        params
    };
    let plain = root("root");
    assert_eq!(checked(&plain.issues_of(with_one("leaf", false, false)), &[&plain]), Ok(()));
    let why = "has the critical extension 1.3.6.1.4.1.99999.1, which is not understood";
    let refused = checked(&plain.issues_of(with_one("leaf", false, true)), &[&plain]);
    assert_eq!(refused, Err(format!("certificate CN=leaf {why}")));
    let top = root_of(with_one("root", true, true));
    assert_eq!(checked(&top.issues("leaf", false), &[&top]), unfit("root", &format!("certificate CN=root {why}")));
}

#[test]
fn circles_end() {
    let (a, b) = (root("a"), root("b"));
    // each issued by the other, with the keys of the roots
    let cross = |by: &Made, of: &Made| {
        let made = of.params.clone().signed_by(&of.key, &Issuer::from_params(&by.params, &by.key)).unwrap();
        let key = KeyPair::try_from(of.key.serialize_der()).unwrap();
        Made { certificate: Certificate::from_der(made.der()).unwrap(), params: of.params.clone(), key }
    };
    let (a_by_b, b_by_a) = (cross(&b, &a), cross(&a, &b));
    let leaf = a.issues("leaf", false);
    assert!(checked(&leaf, &[&a_by_b, &b_by_a]).is_err());
    assert_eq!(checked(&leaf, &[&a_by_b, &b]), Ok(()));
}

fn openssl(dir: &Path, args: &str) {
    let run = Command::new("openssl").args(args.split_whitespace()).current_dir(dir).output().unwrap();
    assert!(run.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&run.stderr));
}

#[test]
fn openssls_signatures_by_every_algorithm() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    openssl(dir, "genpkey -genparam -algorithm DSA -pkeyopt dsa_paramgen_bits:2048 -out dsa.params");
    let pss = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest";
    for (key, sign, accepted) in [
        ("-algorithm RSA -pkeyopt rsa_keygen_bits:2048", "-sha256", true),
        ("-algorithm RSA -pkeyopt rsa_keygen_bits:2048", "-sha384", true),
        ("-algorithm RSA -pkeyopt rsa_keygen_bits:3072", "-sha512", true),
        ("-algorithm RSA -pkeyopt rsa_keygen_bits:2048", &format!("-sha256 {pss}"), true),
        ("-algorithm RSA -pkeyopt rsa_keygen_bits:2048", &format!("-sha512 {pss}"), true),
        ("-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "-sha256", true),
        ("-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "-sha384", true),
        ("-algorithm EC -pkeyopt ec_paramgen_curve:P-384", "-sha256", true),
        ("-algorithm EC -pkeyopt ec_paramgen_curve:P-384", "-sha512", true),
        ("-algorithm EC -pkeyopt ec_paramgen_curve:P-521", "-sha512", true),
        ("-algorithm ED25519", "", true),
        ("-paramfile dsa.params", "-sha256", true),
        ("-algorithm RSA -pkeyopt rsa_keygen_bits:2048", "-sha1", false),
        ("-algorithm RSA -pkeyopt rsa_keygen_bits:1024", "-sha256", false),
    ] {
        openssl(dir, &format!("genpkey {key} -out root.key"));
        openssl(dir, &format!("req -x509 -key root.key -subj /CN=root -days 30 {sign} -out root.pem"));
        openssl(dir, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out leaf.key");
        openssl(dir, "req -new -key leaf.key -subj /CN=leaf -out leaf.csr");
        openssl(
            dir,
            &format!("x509 -req -in leaf.csr -CA root.pem -CAkey root.key -set_serial 1 -days 30 {sign} -out leaf.pem"),
        );
        let read = |name: &str| Certificate::from_pem(std::fs::read(dir.join(name)).unwrap()).unwrap();
        let (root, leaf) = (read("root.pem"), read("leaf.pem"));
        let found = reaches_a_root(&leaf, std::slice::from_ref(&root), SystemClock.now());
        assert_eq!(found.is_ok(), accepted, "{key} {sign}: {found:?}");
        // one changed bit of the signature
        let der = x509_cert::der::Encode::to_der(&leaf).unwrap();
        let last = der.len() - 1;
        let changed = Certificate::from_der(&[&der[..last], &[der[last] ^ 1]].concat()).unwrap();
        assert!(reaches_a_root(&changed, &[root], SystemClock.now()).is_err(), "{key} {sign}");
    }
}
