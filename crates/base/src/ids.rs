//! Ids that say what they identify. An `InstanceId` is not an `ImageId`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new random id.
            pub fn random() -> Self { Self(crate::entropy::uuid()) }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.hyphenated().fmt(f) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{}({})", stringify!($name), self.0) }
        }
        /// Accepts what OpenStack accepts as a UUID: with or without dashes, any case.
        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(s: &str) -> Result<Self, Self::Err> { Uuid::parse_str(s).map(Self) }
        }
    )+};
}

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            pub fn as_str(&self) -> &str { &self.0 }
            /// A new random id in Keystone's form: 32 hex digits without dashes.
            pub fn random() -> Self { Self(crate::entropy::uuid().simple().to_string()) }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{}({})", stringify!($name), self.0) }
        }
        impl From<&str> for $name { fn from(s: &str) -> Self { Self(s.to_owned()) } }
        impl From<String> for $name { fn from(s: String) -> Self { Self(s) } }
        impl AsRef<str> for $name { fn as_ref(&self) -> &str { &self.0 } }
    )+};
}

uuid_id! {
    /// A server: Nova's instance uuid.
    InstanceId,
    /// An image of the image service.
    ImageId,
    /// A resource provider of placement.
    ProviderId,
    /// A row of `operations`: one piece of long work.
    OperationId,
}

text_id! {
    /// A project (tenant). Keystone ids are opaque text, usually 32 hex digits.
    ProjectId,
    /// A user.
    UserId,
    /// An identity domain; the first one is called `default`.
    DomainId,
    /// The name of a compute host, as in `OS-EXT-SRV-ATTR:host`.
    HostName,
    /// `req-<uuid>`: what one request is called in logs, answers and instance actions.
    RequestId,
}

impl RequestId {
    /// A fresh id in the form all OpenStack services use.
    pub fn fresh() -> Self {
        Self(format!("req-{}", crate::entropy::uuid()))
    }
}
