//! Where an image's data is.

use base::ImageId;
use serde::{Deserialize, Serialize};

/// One copy of an image's data.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Location {
    /// The store's name in the configuration. Empty: written before stores had names.
    pub store: String,
    /// In the words of the store.
    pub url: String,
}

/// Data that nobody needs any more: delete it, then [`crate::Registry::location_forget`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    pub image: ImageId,
    pub location: Location,
}
