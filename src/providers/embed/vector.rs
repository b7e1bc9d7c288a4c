//! A vector as servers write it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{Error, IgnoredAny, SeqAccess, Unexpected, Visitor};

/// A vector as base64 of little-endian `f32`, or as a list of numbers.
pub(super) struct Vector(pub(super) Vec<f32>);

impl<'de> Deserialize<'de> for Vector {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not an untagged enum: that would copy every number into a tree first.
        deserializer.deserialize_any(VectorVisitor)
    }
}

struct VectorVisitor;

impl<'de> Visitor<'de> for VectorVisitor {
    type Value = Vector;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a vector as base64 or as a list of numbers")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vector, E> {
        let bytes = STANDARD.decode(text).map_err(|e| E::custom(format_args!("a vector is no base64: {e}")))?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(E::custom(format_args!("a vector of {} bytes is no list of 32-bit numbers", bytes.len())));
        }
        Ok(Vector(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vector, A::Error> {
        let mut numbers = Vec::new();
        while let Some(element) = list.next_element()? {
            match element {
                Element::Number(number) => numbers.push(number),
                // llama.cpp's older way: a list of the one vector.
                Element::List(vector) if numbers.is_empty() && list.next_element::<IgnoredAny>()?.is_none() => {
                    return Ok(Vector(vector));
                }
                Element::List(_) => return Err(A::Error::custom("a list of several lists is no vector")),
            }
        }
        Ok(Vector(numbers))
    }
}

/// An element of a vector's list.
enum Element {
    Number(f32),
    List(Vec<f32>),
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ElementVisitor)
    }
}

struct ElementVisitor;

impl<'de> Visitor<'de> for ElementVisitor {
    type Value = Element;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Element, E> {
        Ok(Element::Number(number as f32))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Element, E> {
        Ok(Element::Number(number as f32))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Element, E> {
        Ok(Element::Number(number as f32))
    }

    /// What JSON cannot say, some servers write as `null`.
    fn visit_unit<E: Error>(self) -> Result<Element, E> {
        Ok(Element::Number(f32::NAN))
    }

    /// And some as text, as the JSON of protocol buffers has it.
    fn visit_str<E: Error>(self, text: &str) -> Result<Element, E> {
        match text {
            "NaN" | "Infinity" | "-Infinity" => Ok(Element::Number(f32::NAN)),
            text => Err(E::invalid_type(Unexpected::Str(text), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Element, A::Error> {
        let mut vector = Vec::new();
        while let Some(number) = list.next_element::<Option<f32>>()? {
            vector.push(number.unwrap_or(f32::NAN));
        }
        Ok(Element::List(vector))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

    use super::*;

    #[test]
    fn every_form_of_a_vector_is_read_and_no_other() {
        let read = |text: &str| serde_json::from_str::<Vector>(text).map(|vector| vector.0);
        assert_eq!(read("[1, -2.5, 1e-8]").unwrap(), [1.0, -2.5, 1e-8]);
        assert_eq!(read("[[1, 2]]").unwrap(), [1.0, 2.0], "a list of the one vector");
        for odd in ["[1, null]", "[1, \"NaN\"]", "[1, \"-Infinity\"]", "[1, 1e39]", "[[1, null]]"] {
            assert!(read(odd).unwrap().iter().any(|number| !number.is_finite()), "{odd}");
        }
        for wrong in ["[[1], [2]]", "[1, [2]]", "[[1], 2]", "[\"1\"]", "[true]", "{}", "null", "7", "[[[1]]]", "[NaN]"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
