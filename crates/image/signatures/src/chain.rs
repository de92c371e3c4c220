//! Chains of certificates: whether the one that an image names goes back, signature by signature, to a root, all of them
//! trusted ones. It is RFC 5280's validation of paths without policies, names and revocation; and as with cursive, whoever
//! trusts must name every certificate of the chain, up to the one that is signed by itself.

use crate::issuer;
use crate::key::check_dates;
use base::Timestamp;
use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};

/// Extensions that are understood here, or say nothing about who issued what: they may be critical. Any other that is
/// makes its certificate unusable.
const UNDERSTOOD: [ObjectIdentifier; 5] = [
    // basicConstraints, keyUsage, extKeyUsage, subjectAltName, certificatePolicies
    ObjectIdentifier::new_unwrap("2.5.29.19"),
    ObjectIdentifier::new_unwrap("2.5.29.15"),
    ObjectIdentifier::new_unwrap("2.5.29.37"),
    ObjectIdentifier::new_unwrap("2.5.29.17"),
    ObjectIdentifier::new_unwrap("2.5.29.32"),
];

/// Whether there is a chain from `leaf` to a root. The error is the reason.
pub(crate) fn reaches_a_root(leaf: &Certificate, trusted: &[Certificate], now: Timestamp) -> Result<(), String> {
    check_extensions(leaf)?;
    Search { trusted, now, climbed: vec![false; trusted.len()] }.climb(leaf, 0)
}

struct Search<'t> {
    trusted: &'t [Certificate],
    now: Timestamp,
    /// Those whose issuers were looked for: nothing is climbed twice.
    climbed: Vec<bool>,
}

impl Search<'_> {
    /// `below`: certificates between the next one and the first, those not counted that were issued by their own name.
    fn climb(&mut self, from: &Certificate, below: usize) -> Result<(), String> {
        let wanted = from.tbs_certificate().issuer();
        let mut why = format!(
            "Certificate chain building failed. Could not locate the signing certificate for {} in the set of trusted certificates",
            named(from)
        );
        for (n, issuer) in self.trusted.iter().enumerate() {
            if issuer.tbs_certificate().subject() != wanted {
                continue;
            }
            if let Err(unfit) = self.may_have_issued(issuer, from, below) {
                why = format!("Certificate chain building failed. The trusted certificate {}: {unfit}", named(issuer));
                continue;
            }
            let own_name = issuer.tbs_certificate().issuer() == issuer.tbs_certificate().subject();
            if own_name && issuer::issued(issuer, issuer).is_ok() {
                return Ok(());
            }
            if !std::mem::replace(&mut self.climbed[n], true) {
                match self.climb(issuer, below + usize::from(!own_name)) {
                    Ok(()) => return Ok(()),
                    Err(further_up) => why = further_up,
                }
            }
        }
        Err(why)
    }

    fn may_have_issued(&self, issuer: &Certificate, what: &Certificate, below: usize) -> Result<(), String> {
        check_dates(issuer, self.now)?;
        check_extensions(issuer)?;
        let tbs = issuer.tbs_certificate();
        let unreadable = |e: x509_cert::der::Error| format!("its extensions cannot be read ({e})");
        let constraints = tbs.get_extension::<BasicConstraints>().map_err(unreadable)?.map(|(_, c)| c);
        let constraints = constraints.filter(|c| c.ca).ok_or("it is not a certificate authority's")?;
        if tbs.get_extension::<KeyUsage>().map_err(unreadable)?.is_some_and(|(_, usage)| !usage.key_cert_sign()) {
            return Err("its key is not for signing certificates".to_owned());
        }
        if constraints.path_len_constraint.is_some_and(|most| below > usize::from(most)) {
            return Err("more certificates are below it than it allows".to_owned());
        }
        issuer::issued(issuer, what)
    }
}

fn check_extensions(certificate: &Certificate) -> Result<(), String> {
    let extensions = certificate.tbs_certificate().extensions().into_iter().flatten();
    let mut unknown = extensions.filter(|e| e.critical && !UNDERSTOOD.contains(&e.extn_id));
    unknown.next().map_or(Ok(()), |e| {
        Err(format!(
            "certificate {} has the critical extension {}, which is not understood",
            named(certificate),
            e.extn_id
        ))
    })
}

fn named(certificate: &Certificate) -> String {
    certificate.tbs_certificate().subject().to_string()
}

#[cfg(test)]
mod tests;
