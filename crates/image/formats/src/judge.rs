//! From what the formats found to one verdict.

use crate::format::{Detected, Finding};

/// What came of inspecting an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub detected: Detected,
    /// Size in bytes of the disk inside, where the declared format lets one know.
    pub virtual_size: Option<u64>,
    /// Why the image must not be used. `None`: it may.
    pub refusal: Option<String>,
}

/// Declared formats of which no content can be told for sure: their content just must not be of another disk format.
const WITHOUT_SIGNATURE: &[&str] = &["aki", "ari", "ami", "ploop"];

pub(crate) fn judge(declared: Option<&str>, mut found: Vec<(Detected, Finding)>, size: u64) -> Verdict {
    // A hybrid boot ISO carries a partition table so that it boots from a stick too: it is an ISO.
    if let [(Detected::Iso, _), (Detected::Gpt, _)] = found[..] {
        found.pop();
    }
    if found.len() > 1 {
        let names: Vec<&str> = found.iter().map(|(d, _)| d.as_str()).collect();
        let refusal = Some(format!("Multiple formats detected: {}", names.join(", ")));
        return Verdict { detected: found[0].0, virtual_size: None, refusal };
    }
    let (detected, finding) = found.pop().unwrap_or((Detected::Raw, Finding::safe(Some(size))));
    let (agree, virtual_size) = match declared {
        None => (true, finding.virtual_size),
        Some(d) if d == detected.as_str() => (true, finding.virtual_size),
        Some("raw") => (detected.is_plain(), Some(size)),
        Some(d) if WITHOUT_SIGNATURE.contains(&d) => (detected.is_plain(), None),
        Some(_) => (false, None),
    };
    let refusal = if !agree {
        let declared = declared.unwrap_or_default();
        Some(format!("Image disk_format {declared} does not match stream data {detected}"))
    } else if checks_matter(declared, detected) && !finding.failed.is_empty() {
        Some(format!("Image failed safety checks: {}", finding.failed.join("; ")))
    } else {
        None
    };
    Verdict { detected, virtual_size: virtual_size.filter(|_| refusal.is_none()), refusal }
}

/// A kernel has the boot signature of a partition table and no partitions: of an aki, ari or ami that says nothing.
fn checks_matter(declared: Option<&str>, detected: Detected) -> bool {
    !(detected == Detected::Gpt && declared.is_some_and(|d| WITHOUT_SIGNATURE.contains(&d)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(declared: &str, found: &[(Detected, &[&str])]) -> Verdict {
        let finding = |failed: &[&str]| Finding {
            virtual_size: Some(77),
            failed: failed.iter().map(|&f| f.to_owned()).collect(),
        };
        judge(Some(declared), found.iter().map(|&(d, failed)| (d, finding(failed))).collect(), 1000)
    }

    /// Declared, found, virtual size if accepted.
    type Case = (&'static str, &'static [Detected], Option<Option<u64>>);

    const CASES: &[Case] = {
        use Detected::*;
        &[
            ("raw", &[], Some(Some(1000))),
            ("raw", &[Gpt], Some(Some(1000))),
            ("raw", &[Iso], Some(Some(1000))),
            ("raw", &[Iso, Gpt], Some(Some(1000))),
            ("raw", &[Qcow2], None),
            ("raw", &[Vmdk], None),
            ("raw", &[Vhd], None),
            ("raw", &[Vhdx], None),
            ("raw", &[Vdi], None),
            ("raw", &[Luks], None),
            ("raw", &[Ploop], None),
            ("raw", &[Qed], None),
            ("qcow2", &[Qcow2], Some(Some(77))),
            ("qcow2", &[], None),
            ("qcow2", &[Qcow2, Gpt], None),
            ("qcow2", &[Vmdk], None),
            ("iso", &[Iso, Gpt], Some(Some(77))),
            ("iso", &[], None),
            ("vmdk", &[Vmdk], Some(Some(77))),
            ("ami", &[], Some(None)),
            ("aki", &[Gpt], Some(None)),
            ("ami", &[Qcow2], None),
            ("ploop", &[], Some(None)),
            ("ploop", &[Ploop], Some(Some(77))),
            ("ploop", &[Vdi], None),
        ]
    };

    #[test]
    fn declared_against_found() {
        for (declared, found, accepted) in CASES {
            let found: Vec<(Detected, &[&str])> = found.iter().map(|&d| (d, &[] as &[&str])).collect();
            let v = verdict(declared, &found);
            assert_eq!(v.refusal.is_none().then_some(v.virtual_size), *accepted, "{declared} {found:?}: {v:?}");
        }
    }

    #[test]
    fn a_failed_check_refuses_even_what_agrees() {
        let v = verdict("qcow2", &[(Detected::Qcow2, &["backing_file: Image has a backing file"])]);
        assert_eq!(v.refusal.as_deref(), Some("Image failed safety checks: backing_file: Image has a backing file"));
        assert!(verdict("raw", &[(Detected::Gpt, &["mbr: bad"])]).refusal.is_some());
        assert!(verdict("aki", &[(Detected::Gpt, &["mbr: bad"])]).refusal.is_none());
    }
}
