//! A payload's JSON as values of expressions.
//!
//! Texts without escapes are not copied. A number is a `double`, as in CEL's own mapping of JSON, but
//! for an integer that a `double` cannot hold exactly, which is an `int` or `uint`. Of two equal keys
//! the last one counts.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;

use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
};
use cel::common::value::Val;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

/// The most bytes of a payload that are read as JSON.
pub(super) const MAX_BYTES: usize = 65_536;

/// The most values, and elements and entries of all kinds, of one payload.
pub(super) const MAX_VALUES: usize = 2_048;

/// The deepest that they may nest.
pub(super) const MAX_DEPTH: usize = 32;

/// Up to here a `double` holds every integer.
const EXACT: u64 = 1 << 53;

/// A value of an expression.
pub(super) type Boxed<'a> = Box<dyn Val + 'a>;

/// Returns what a payload holds; `None` if it is not JSON, or beyond the bounds.
pub(super) fn read(payload: &[u8]) -> Option<Boxed<'_>> {
    if payload.len() > MAX_BYTES {
        return None;
    }
    let left = Cell::new(MAX_VALUES);
    let reader = Reader {
        left: &left,
        depth: MAX_DEPTH,
    };
    let mut source = serde_json::Deserializer::from_slice(payload);
    let value = reader.deserialize(&mut source).ok()?;
    source.end().ok()?;
    Some(value)
}

#[derive(Clone, Copy)]
struct Reader<'l> {
    /// How many values may still come.
    left: &'l Cell<usize>,
    /// How deep they may still nest.
    depth: usize,
}

impl Reader<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1);
        let depth = depth.ok_or_else(|| E::custom("too deep"))?;
        Ok(Self { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Boxed<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, source: D) -> Result<Boxed<'de>, D::Error> {
        let left = self.left.get().checked_sub(1);
        self.left
            .set(left.ok_or_else(|| D::Error::custom("too many values"))?);
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Boxed<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Boxed<'de>, E> {
        Ok(Box::new(CelNull))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Boxed<'de>, E> {
        Ok(Box::new(CelBool::from(value)))
    }

    #[expect(clippy::cast_precision_loss, reason = "it is exact up to that bound")]
    fn visit_u64<E>(self, value: u64) -> Result<Boxed<'de>, E> {
        Ok(match i64::try_from(value) {
            Ok(_) if value <= EXACT => Box::new(CelDouble::from(value as f64)),
            Ok(value) => Box::new(CelInt::from(value)),
            Err(_) => Box::new(CelUInt::from(value)),
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "it is exact up to that bound")]
    fn visit_i64<E>(self, value: i64) -> Result<Boxed<'de>, E> {
        Ok(if value.unsigned_abs() <= EXACT {
            Box::new(CelDouble::from(value as f64))
        } else {
            Box::new(CelInt::from(value))
        })
    }

    fn visit_f64<E>(self, value: f64) -> Result<Boxed<'de>, E> {
        Ok(Box::new(CelDouble::from(value)))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Boxed<'de>, E> {
        Ok(Box::new(CelString::from(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Boxed<'de>, E> {
        Ok(Box::new(CelString::from(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Boxed<'de>, A::Error> {
        let reader = self.deeper()?;
        let mut list = Vec::new();
        while let Some(value) = elements.next_element_seed(reader)? {
            list.push(value);
        }
        Ok(Box::new(CelList::from(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Boxed<'de>, A::Error> {
        let reader = self.deeper()?;
        let mut map = HashMap::new();
        while let Some(key) = entries.next_key_seed(Key)? {
            map.insert(key, entries.next_value_seed(reader)?);
        }
        Ok(Box::new(CelMap::from(map)))
    }
}

/// Reads the key of an entry.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = CelMapKey<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, source: D) -> Result<Self::Value, D::Error> {
        source.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = CelMapKey<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(CelMapKey::String(CelString::from(Cow::Borrowed(key))))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(CelMapKey::String(CelString::from(key.to_owned())))
    }
}
