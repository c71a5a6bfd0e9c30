//! Which keys a table may have, which it must have, and whether one value is good by itself: asked of the types that are
//! read. What serde derives for a structure knows its fields, so that no list has to be kept beside it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, Deserialize as _, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer as _, MapAccess, Visitor,
};

/// The keys of the table at `path`; `None` if there is no table.
pub(super) fn known<T: DeserializeOwned>(path: &[&str]) -> Option<&'static [&'static str]> {
    let fields = Cell::new(None);
    let _ = T::deserialize(Walk::<T> { path, end: End::Fields(&fields), table: PhantomData });
    fields.get()
}

/// Those without which the table at `path` is not complete.
pub(super) fn required<T: DeserializeOwned>(path: &[&str]) -> Vec<&'static str> {
    let mut keys = Vec::new();
    loop {
        // Given nothing, a structure names the first field that it misses; given that, the next.
        match T::deserialize(Walk::<T> { path, end: End::Given(&keys, path), table: PhantomData }) {
            Err(Halt::Missing(key)) if !keys.contains(&key) => keys.push(key),
            _ => return keys,
        }
    }
}

/// What is wrong with the value `toml` at `path`, looked at by itself.
pub(super) fn fault<T: DeserializeOwned>(path: &[&str], toml: &str) -> Option<String> {
    let fault = RefCell::new(None);
    let _ = T::deserialize(Walk::<T> { path, end: End::Value(toml, &fault), table: PhantomData });
    fault.into_inner()
}

/// Why a walk ended. None of these is ever shown.
#[derive(Debug)]
enum Halt {
    Missing(&'static str),
    Done,
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the walk is over")
    }
}

impl std::error::Error for Halt {}

impl de::Error for Halt {
    fn custom<M: fmt::Display>(_: M) -> Self {
        Self::Done
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }
}

/// What happens at the end of the path.
#[derive(Clone, Copy)]
enum End<'a> {
    /// The fields are noted.
    Fields(&'a Cell<Option<&'static [&'static str]>>),
    /// The structure, at this path, gets these, each with a value that its kind takes.
    Given(&'a [&'static str], &'a [&'a str]),
    /// The field gets this value, and what it says against it is noted.
    Value(&'a str, &'a RefCell<Option<String>>),
}

/// Leads a structure along a path of keys to the table or value of interest.
struct Walk<'a, T> {
    path: &'a [&'a str],
    end: End<'a>,
    table: PhantomData<T>,
}

impl<'de, T: DeserializeOwned> Deserializer<'de> for Walk<'_, T> {
    type Error = Halt;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Halt> {
        match (self.path.split_first(), self.end) {
            (Some((key, rest)), end) => visitor.visit_map(Step::<T> { key: Some(key), rest, end, table: PhantomData }),
            (None, End::Fields(found)) => {
                found.set(Some(fields));
                Err(Halt::Done)
            }
            (None, End::Given(keys, path)) => {
                visitor.visit_map(Filled::<T> { keys, path: path.to_vec(), key: "", table: PhantomData })
            }
            (None, End::Value(..)) => Err(Halt::Done),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Halt> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Halt> {
        Err(Halt::Done)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map enum identifier ignored_any
    }
}

/// A structure with one key, that of the next step.
struct Step<'a, T> {
    key: Option<&'a str>,
    rest: &'a [&'a str],
    end: End<'a>,
    table: PhantomData<T>,
}

impl<'de, T: DeserializeOwned> MapAccess<'de> for Step<'_, T> {
    type Error = Halt;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Halt> {
        self.key.take().map(|key| seed.deserialize(StrDeserializer::new(key))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Halt> {
        match self.end {
            End::Value(toml, fault) if self.rest.is_empty() => {
                // Through an owned value: what is read may live longer than the file's text.
                let judged = toml::de::ValueDeserializer::parse(toml)
                    .and_then(toml::Value::deserialize)
                    .and_then(|value| seed.deserialize(value));
                *fault.borrow_mut() = judged.err().map(|error| error.message().to_owned());
                Err(Halt::Done)
            }
            end => {
                let value = seed.deserialize(Walk::<T> { path: self.rest, end, table: PhantomData })?;
                // What the structures above it miss is another question.
                if self.rest.is_empty() { Err(Halt::Done) } else { Ok(value) }
            }
        }
    }
}

/// A structure with these keys, and for each the simplest value of its kind.
struct Filled<'a, T> {
    keys: &'a [&'static str],
    path: Vec<&'a str>,
    key: &'a str,
    table: PhantomData<T>,
}

impl<'de, T: DeserializeOwned> MapAccess<'de> for Filled<'_, T> {
    type Error = Halt;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Halt> {
        let Some((key, rest)) = self.keys.split_first() else { return Ok(None) };
        (self.key, self.keys) = (key, rest);
        seed.deserialize(key.into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Halt> {
        let mut path = self.path.clone();
        path.push(self.key);
        seed.deserialize(Simplest::<T> { path, table: PhantomData })
    }
}

/// The simplest value of whatever kind is asked for. Only what is required is ever asked.
struct Simplest<'a, T> {
    path: Vec<&'a str>,
    table: PhantomData<T>,
}

impl<'de, T: DeserializeOwned> Deserializer<'de> for Simplest<'_, T> {
    type Error = Halt;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        // Good for a text, a path and an address with port alike.
        visitor.visit_str("127.0.0.1:0")
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        visitor.visit_seq(de::value::SeqDeserializer::<_, Halt>::new(std::iter::empty::<u8>()))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Halt> {
        let keys = required::<T>(&self.path);
        visitor.visit_map(Filled::<T> { keys: &keys, path: self.path, key: "", table: PhantomData })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_structures_tell_their_keys() {
        assert!(known::<Config>(&[]).is_some_and(|keys| keys.contains(&"host_name") && keys.contains(&"network")));
        assert!(known::<Config>(&["network"]).is_some_and(|keys| keys.contains(&"notices_from")));
        assert_eq!(known::<Config>(&["sending"]), Some(["hold_seconds"].as_slice()));
        assert!(known::<Config>(&["network", "ldap"]).is_some_and(|keys| keys.contains(&"bind_dn")));
        assert_eq!(known::<Config>(&["office"]), None);
        assert_eq!(known::<Config>(&["network", "smtp"]), None);
        assert_eq!(known::<Config>(&["nonsense"]), None);
    }

    #[test]
    fn the_structures_tell_what_they_miss() {
        assert_eq!(required::<Config>(&[]), ["host_name", "office", "data", "terminal", "network"]);
        assert!(required::<Config>(&["terminal"]).is_empty());
        assert_eq!(required::<Config>(&["terminal", "modem"]), ["device", "machine"]);
        let network = ["notices", "notices_from", "smtp", "pop3", "directory", "history", "anchors"];
        assert_eq!(required::<Config>(&["network"]), network);
        assert_eq!(required::<Config>(&["network", "ldap"]), ["server", "base"]);
        assert!(required::<Config>(&["trust"]).is_empty());
    }

    /// A table in a table, each with something that it must have.
    #[test]
    fn what_a_table_misses_is_told_however_deep_it_is() {
        #[derive(serde::Deserialize)]
        struct Outer {
            _inner: Option<Inner>,
        }
        #[derive(serde::Deserialize)]
        struct Inner {
            _name: String,
            _innermost: Innermost,
            _last: String,
        }
        #[derive(serde::Deserialize)]
        struct Innermost {
            _word: String,
        }
        assert_eq!(required::<Outer>(&["_inner"]), ["_name", "_innermost", "_last"]);
        assert_eq!(required::<Outer>(&["_inner", "_innermost"]), ["_word"]);
    }

    #[test]
    fn a_value_is_judged_by_itself() {
        assert_eq!(fault::<Config>(&["terminal", "smtp"], "\"192.0.2.1:25\""), None);
        assert!(fault::<Config>(&["terminal", "smtp"], "\"192.0.2.1\"").is_some());
        assert!(fault::<Config>(&["sending", "hold_seconds"], "\"long\"").is_some());
        assert!(fault::<Config>(&["language"], "\"latin\"").is_some_and(|why| why.contains("latin")));
    }
}
