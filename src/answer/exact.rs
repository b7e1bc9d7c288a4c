//! An amount as text: of a JSON number, `serde_json` would read back one that is next to it.

use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

#[expect(clippy::ref_option, reason = "serde's signature")]
pub(in crate::answer) fn serialize<S: Serializer>(amount: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    amount.map(|amount| amount.to_string()).serialize(serializer)
}

pub(in crate::answer) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let amount = Option::<String>::deserialize(deserializer)?;
    amount.map(|amount| amount.parse().map_err(D::Error::custom)).transpose()
}
