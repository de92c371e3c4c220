//! What a copy is called, and what is known of the data it is a copy of.

use crate::data::HashAlgo;
use base::ImageId;
use image_model::{Image, Location, Status};

/// What is needed to read an image's data.
#[derive(Clone, Debug)]
pub(crate) struct Data {
    pub(crate) image: ImageId,
    pub(crate) locations: Vec<Location>,
    /// Stores that are read first, by name.
    pub(super) first: Vec<String>,
    pub(crate) size: u64,
    /// What a copy of it is called. `None`: it is never kept, because it is not active, or empty, or has no hash.
    pub(super) name: Option<Name>,
}

impl Data {
    pub(crate) fn of(image: &Image) -> Self {
        let size = image.size.unwrap_or(0);
        let keeps = image.status == Status::Active && size > 0;
        let name = Name::of(image).filter(|_| keeps);
        Self { image: image.id, locations: image.locations.clone(), first: Vec::new(), size, name }
    }

    /// Read from these stores before all others.
    pub(crate) fn reading_first(self, first: Vec<String>) -> Self {
        Self { first, ..self }
    }

    /// Of an image that is nowhere.
    #[cfg(test)]
    pub(crate) fn uncached(size: u64) -> Self {
        Self { image: ImageId::random(), locations: Vec::new(), first: Vec::new(), size, name: None }
    }
}

/// `IMAGE.ALGORITHM-HASH`, the hash in hexadecimal: a copy's file says itself what must be in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) image: ImageId,
    pub(super) algo: HashAlgo,
    pub(super) hash: String,
}

impl Name {
    fn of(image: &Image) -> Option<Self> {
        let algo = HashAlgo::of(image.os_hash_algo.as_deref()?)?;
        let hash = image.os_hash_value.as_deref()?.to_ascii_lowercase();
        is_hash(algo, &hash).then_some(Self { image: image.id, algo, hash })
    }

    /// `None`: no copy is called so.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (image, proof) = text.split_once('.')?;
        let (algo, hash) = proof.split_once('-')?;
        let name = Self { image: image.parse().ok()?, algo: HashAlgo::of(algo)?, hash: hash.to_owned() };
        (is_hash(name.algo, hash) && name.to_string() == text).then_some(name)
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}-{}", self.image, self.algo.as_str(), self.hash)
    }
}

fn is_hash(algo: HashAlgo, hash: &str) -> bool {
    hash.len() == algo.size() * 2 && hash.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let id = "36d4b546-64a2-4bb9-bdd0-ba676aa48f2c";
        let md5 = "9e107d9d372bb6826bd81d3542a419d6";
        let name = format!("{id}.md5-{md5}");
        assert_eq!(Name::parse(&name).unwrap().to_string(), name);
        for wrong in [
            id.to_owned(),
            format!("{id}.{md5}"),
            format!("{id}.md5-{}", &md5[1..]),
            format!("{id}.md5-{}", md5.to_uppercase()),
            format!("{id}.sha512-{md5}"),
            format!("{id}.md6-{md5}"),
            format!("x{id}.md5-{md5}"),
            format!("{}.md5-{md5}", id.to_uppercase()),
            format!("{id}.md5-{}../../x", &md5[8..]),
            ".state.json".to_owned(),
        ] {
            assert_eq!(Name::parse(&wrong), None, "{wrong}");
        }
    }
}
