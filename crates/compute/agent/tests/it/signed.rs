//! Guests of signed images: what is not proven is neither booted nor kept.

use crate::world::{HOST, Running, World, server_of};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use compute_agent::Demands;
use compute_model::assignment::{Outcome, Want};
use compute_model::spec::{ImageSpec, InstanceSpec};
use compute_model::states::PowerState;
use image_model::DiskFormat;
use image_signatures::CertificateFolder;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P384_SHA384};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair};
use std::sync::Arc;
use tempfile::TempDir;

const ROOT: &str = "00000000-0000-4000-8000-00000000000a";
const SIGNER: &str = "00000000-0000-4000-8000-00000000000b";
const EXPIRED: &str = "00000000-0000-4000-8000-00000000000c";
const OTHER_ROOT: &str = "00000000-0000-4000-8000-00000000000d";

/// A site's certificates, and the key of those that sign images.
struct Site {
    dir: TempDir,
    key: EcdsaKeyPair,
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let put = |id: &str, pem: String| std::fs::write(dir.path().join(format!("{id}.pem")), pem).unwrap();
        let params = |name: &str, authority: bool, until: i32| {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, name);
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(until, 1, 1);
            params.is_ca = if authority { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::NoCa };
            params
        };
        let (root, root_key) = (params("root", true, 2100), KeyPair::generate().unwrap());
        put(ROOT, root.self_signed(&root_key).unwrap().pem());
        put(OTHER_ROOT, params("other", true, 2100).self_signed(&KeyPair::generate().unwrap()).unwrap().pem());
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let issuer = Issuer::from_params(&root, &root_key);
        put(SIGNER, params("signer", false, 2100).signed_by(&key, &issuer).unwrap().pem());
        put(EXPIRED, params("signer", false, 2021).signed_by(&key, &issuer).unwrap().pem());
        let signing = &ECDSA_P384_SHA384_ASN1_SIGNING;
        let key = EcdsaKeyPair::from_pkcs8(signing, &key.serialize_der(), &SystemRandom::new()).unwrap();
        Self { dir, key }
    }

    fn start(&self, world: &World, verify: bool, default_trusted: Option<&[&str]>) -> Running {
        let demands = Demands {
            verify_signatures: verify,
            validate_certificates: default_trusted.is_some(),
            default_trusted: default_trusted.unwrap_or_default().iter().map(|id| (*id).to_owned()).collect(),
            certificates: Arc::new(CertificateFolder::open(self.dir.path()).unwrap()),
        };
        world.start_with(|config| config.demands = demands)
    }

    /// Properties that say: whoever has that certificate has signed `data`.
    fn properties(&self, data: &[u8], certificate: &str) -> Vec<(&'static str, String)> {
        let signature = self.key.sign(&SystemRandom::new(), data).unwrap();
        vec![
            ("img_signature", STANDARD.encode(signature)),
            ("img_signature_hash_method", "SHA-384".to_owned()),
            ("img_signature_key_type", "ECC_SECP384R1".to_owned()),
            ("img_signature_certificate_uuid", certificate.to_owned()),
        ]
    }

    fn image(&self, world: &World, data: &[u8], certificate: &str) -> ImageSpec {
        world.images.put(DiskFormat::Raw, data, &self.properties(data, certificate))
    }
}

fn trusting(image: &ImageSpec, certificates: &[&str]) -> InstanceSpec {
    InstanceSpec { trusted_certificates: certificates.iter().map(|c| (*c).to_owned()).collect(), ..server_of(image) }
}

/// `Err`: what the server's fault says, and that no other host would do better.
async fn built(world: &World, vm: &InstanceSpec) -> Result<(), String> {
    let generation = world.conductor.assign(HOST, vm, Want::Spawn);
    match world.conductor.outcome(vm.id, generation).await {
        Outcome::Done { power: PowerState::Running } => Ok(()),
        Outcome::Failed { message, worth_retrying_elsewhere: false, power: PowerState::NoState, .. } => Err(message),
        other => panic!("{other:?}"),
    }
}

const DATA: &[u8] = &[7; 300_000];

#[tokio::test]
async fn what_a_trusted_certificate_has_signed_boots() {
    let (world, site) = (World::new(true), Site::new());
    let agent = site.start(&world, true, Some(&[ROOT]));
    let image = site.image(&world, DATA, SIGNER);
    built(&world, &server_of(&image)).await.unwrap();
    // a server's own list replaces the operator's
    built(&world, &trusting(&image, &[OTHER_ROOT, ROOT])).await.unwrap();
    assert_eq!(world.images.opens(), 1, "the proven copy is proven to the next one, too");
    agent.stop().await;
}

#[tokio::test]
async fn what_was_not_signed_so_is_not_kept() {
    let (world, site) = (World::new(true), Site::new());
    let agent = site.start(&world, true, None);
    // the image service would have refused it, but who says that it is ours, or honest
    let forged = world.images.put(DiskFormat::Raw, DATA, &site.properties(&[8; 300_000], SIGNER));
    let why = built(&world, &server_of(&forged)).await.unwrap_err();
    let expected = format!(
        "image {} is not used: Signature verification for the image failed: The data, the signature and the certificate \
         do not belong together.",
        forged.id
    );
    assert_eq!(why, expected);
    assert_eq!(world.cached(), [""; 0]);
    agent.stop().await;
}

#[tokio::test]
async fn refusals_say_why_and_fetch_nothing() {
    let (world, site) = (World::new(true), Site::new());
    let agent = site.start(&world, true, Some(&[]));
    let image = site.image(&world, DATA, SIGNER);
    let unsigned = world.images.put(DiskFormat::Raw, DATA, &[]);
    let expired = site.image(&world, DATA, EXPIRED);
    let unknown = site.image(&world, DATA, "00000000-0000-4000-8000-000000000000");
    for (vm, why) in [
        (trusting(&unsigned, &[ROOT]), "Cannot verify signature. Missing property: img_signature."),
        (trusting(&expired, &[ROOT]), "Certificate is not valid after: 2021-01-01 00:00:00 UTC."),
        (trusting(&unknown, &[ROOT]), "Certificate not found with ID: 00000000-0000-4000-8000-000000000000."),
        (
            trusting(&image, &[OTHER_ROOT]),
            &format!(
                "Image signature certificate validation failed for certificate: {SIGNER}. Certificate chain building failed."
            ),
        ),
        (trusting(&image, &["no uuid", SIGNER]), "in the set of trusted certificates."),
        (server_of(&image), "no trusted certificate IDs were provided."),
    ] {
        let refusal = built(&world, &vm).await.unwrap_err();
        assert!(refusal.contains(why), "{refusal:?} does not say {why:?}");
    }
    assert_eq!((world.images.opens(), world.cached()), (0, vec![]));
    agent.stop().await;
}

#[tokio::test]
async fn a_copy_that_came_unasked_is_proven_when_a_server_asks() {
    let (world, site) = (World::new(true), Site::new());
    let agent = site.start(&world, false, None);
    let good = site.image(&world, DATA, SIGNER);
    let forged = world.images.put(DiskFormat::Raw, &[9; 3000], &site.properties(DATA, SIGNER));
    built(&world, &server_of(&good)).await.unwrap();
    built(&world, &server_of(&forged)).await.unwrap();
    built(&world, &trusting(&good, &[ROOT])).await.unwrap();
    assert!(built(&world, &trusting(&forged, &[ROOT])).await.unwrap_err().contains("do not belong together"));
    // who does not ask may go on
    built(&world, &server_of(&forged)).await.unwrap();
    assert_eq!(world.images.opens(), 2);
    agent.stop().await;
}

#[tokio::test]
async fn who_asks_for_no_proof_does_not_fail_with_who_does() {
    let (world, site) = (World::new(true), Site::new());
    let agent = site.start(&world, false, None);
    world.images.close_gate();
    let forged = world.images.put(DiskFormat::Raw, DATA, &site.properties(&[8; 300_000], SIGNER));
    let (asks, does_not) = (trusting(&forged, &[ROOT]), server_of(&forged));
    let first = world.conductor.assign(HOST, &asks, Want::Spawn);
    world.conductor.until("the download", |_| (world.images.opens() == 1).then_some(())).await;
    let second = world.conductor.assign(HOST, &does_not, Want::Spawn);
    let waits = |seen: &crate::conductor::Seen| seen.reports.iter().any(|r| r.instance == does_not.id).then_some(());
    world.conductor.until("the other to wait for it", waits).await;
    world.images.open_gate();
    assert!(matches!(world.conductor.outcome(asks.id, first).await, Outcome::Failed { .. }));
    assert_eq!(world.conductor.outcome(does_not.id, second).await, Outcome::Done { power: PowerState::Running });
    agent.stop().await;
}
