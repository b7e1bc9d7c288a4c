//! An error of another process: the same words, and the same for a caller to decide on.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Error, Failure, Origin};

/// Causes that are told of an error, at most.
const CAUSES: usize = 32;

/// An error as another process tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    words: Words,
    origin: Origin,
    code: String,
    hint: Option<String>,
    transient: bool,
    stops_all: bool,
}

/// What an error says, and what caused it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Words {
    message: String,
    cause: Option<Box<Words>>,
}

impl Words {
    fn of(error: &dyn std::error::Error, most: usize) -> Self {
        let cause = error.source().filter(|_| most > 0).map(|cause| Box::new(Self::of(cause, most - 1)));
        Self { message: error.to_string(), cause }
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Words {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

impl From<&Error> for Told {
    fn from(error: &Error) -> Self {
        Self {
            words: Words::of(error, CAUSES),
            origin: error.origin(),
            code: error.code().to_owned(),
            hint: error.hint(),
            transient: error.is_transient(),
            stops_all: error.stops_all(),
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.words.fmt(f)
    }
}

impl std::error::Error for Told {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.words.source()
    }
}

impl Failure for Told {
    fn origin(&self) -> Origin {
        self.origin
    }

    fn code(&self) -> &str {
        &self.code
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }

    fn is_transient(&self) -> bool {
        self.transient
    }

    fn stops_all(&self) -> bool {
        self.stops_all
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test panics")]
mod tests {
    use super::*;
    use crate::error::reason;

    #[test]
    fn an_error_that_was_told_says_and_decides_the_same() {
        let worst = Error::io("read", "keys.md", std::io::Error::other(std::io::Error::other("the disk is gone")));
        let wire = serde_json::to_string(&Told::from(&worst)).unwrap();
        let told = Error::from(serde_json::from_str::<Told>(&wire).unwrap());
        let chain = |error: &Error| anyhow::Error::new(error.clone()).chain().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(chain(&told), chain(&worst));
        assert!(chain(&told).len() > 1);
        let facts = |error: &Error| (reason(error), error.code().to_owned(), error.hint(), error.origin(), error.stops_all());
        assert_eq!(facts(&told), facts(&worst));
    }
}
