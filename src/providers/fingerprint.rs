//! The identity of a model's vectors.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Stands before the server, where that is not the vendor's own.
const AT: &str = " at ";

/// The identity of a model's vectors, by which two embedders' are interchangeable: the kind of provider, the model, the width
/// that was asked for, the prefixes, and the server where that is not the vendor's own: `openai/text-embedding-3-small/512 at
/// localhost:8080/v1`.
///
/// Part of every cache key and of every index, as this text: the text of a model that exists must never change.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// A model, wherever it runs.
    pub fn new(model: impl Into<String>) -> Self {
        Self(model.into())
    }

    /// The model as this server has it: host, port and path.
    #[must_use]
    pub fn at(self, server: &str) -> Self {
        Self(format!("{}{AT}{server}", self.0))
    }

    /// All of it, as it is kept.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the server.
    pub fn model(&self) -> &str {
        self.0.split_once(AT).map_or(&self.0, |(model, _)| model)
    }

    /// The server, where it is not the vendor's own.
    pub fn server(&self) -> Option<&str> {
        self.0.split_once(AT).map(|(_, server)| server)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Fingerprint {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_told_from_the_model() {
        let own = Fingerprint::new("openai/m/8");
        assert_eq!((own.model(), own.server()), ("openai/m/8", None));
        let other = own.at("localhost:8080/v1");
        assert_eq!(other.to_string(), "openai/m/8 at localhost:8080/v1");
        assert_eq!((other.model(), other.server()), ("openai/m/8", Some("localhost:8080/v1")));
    }
}
