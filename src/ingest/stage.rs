//! The stages that a document goes through, and can fail in.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A stage of an ingest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Files are opened and read.
    Read,
    /// Text is extracted.
    Parse,
    /// Text is cut.
    Chunk,
    /// It is said where chunks stand.
    Context,
    /// Vectors are made.
    Embed,
    /// Points are written.
    Store,
}

impl Stage {
    /// All of them, in the order of the flow.
    pub const ALL: [Self; 6] = [Self::Read, Self::Parse, Self::Chunk, Self::Context, Self::Embed, Self::Store];

    /// Its name in messages and events.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Parse => "parse",
            Self::Chunk => "chunk",
            Self::Context => "context",
            Self::Embed => "embed",
            Self::Store => "store",
        }
    }

    /// The stage of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_has_one_name() {
        for stage in Stage::ALL {
            assert_eq!(Stage::named(stage.name()), Some(stage));
            assert_eq!(serde_json::to_value(stage).ok(), Some(stage.name().into()));
            assert_eq!(stage.to_string(), stage.name());
        }
        assert_eq!(Stage::named("dream"), None);
    }
}
