//! The few msgpack types a payload is made of.

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Item>),
}

impl Item {
    pub fn list(&self) -> Option<&[Item]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(*n),
            _ => None,
        }
    }
    /// Seconds: Keystone writes a float, which may be a whole number.
    pub fn float(&self) -> Option<f64> {
        match self {
            Self::Float(f) => Some(*f),
            #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit a float")]
            Self::Int(n) => Some(*n as f64),
            _ => None,
        }
    }
    /// Text; old msgpack wrote it as bytes.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(t) => Some(t),
            Self::Bytes(b) => std::str::from_utf8(b).ok(),
            _ => None,
        }
    }
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(b) => Some(b),
            Self::Text(t) => Some(t.as_bytes()),
            _ => None,
        }
    }
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nil => s.serialize_unit(),
            Self::Bool(b) => s.serialize_bool(*b),
            Self::Int(n) => s.serialize_i64(*n),
            Self::Float(f) => s.serialize_f64(*f),
            Self::Text(t) => s.serialize_str(t),
            Self::Bytes(b) => s.serialize_bytes(b),
            Self::List(items) => items.serialize(s),
        }
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part of a token's payload")
    }
    fn visit_unit<E: Error>(self) -> Result<Item, E> {
        Ok(Item::Nil)
    }
    fn visit_bool<E: Error>(self, v: bool) -> Result<Item, E> {
        Ok(Item::Bool(v))
    }
    fn visit_i64<E: Error>(self, v: i64) -> Result<Item, E> {
        Ok(Item::Int(v))
    }
    fn visit_u64<E: Error>(self, v: u64) -> Result<Item, E> {
        i64::try_from(v).map(Item::Int).map_err(E::custom)
    }
    fn visit_f64<E: Error>(self, v: f64) -> Result<Item, E> {
        Ok(Item::Float(v))
    }
    fn visit_str<E: Error>(self, v: &str) -> Result<Item, E> {
        Ok(Item::Text(v.to_owned()))
    }
    fn visit_bytes<E: Error>(self, v: &[u8]) -> Result<Item, E> {
        Ok(Item::Bytes(v.to_vec()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Item, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Item::List(items))
    }
}
