//! Why a table could not be read.

use std::fmt;

/// Why a table could not be read, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SqlError {
    /// In a sentence without its point. Holds no secret.
    message: String,
    hint: Option<String>,
    /// Whether the same may succeed in a moment: the connection broke, the server is starting, a lock was held.
    transient: bool,
    /// Whether a value of some row is at fault, so that other rows can be read.
    of_data: bool,
}

impl SqlError {
    /// An error that stays.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, transient: false, of_data: false }
    }

    /// An error that may be gone in a moment.
    pub fn transient(message: impl Into<String>) -> Self {
        Self { transient: true, ..Self::new(message) }
    }

    /// An error of some row's values: other rows may be read all the same.
    pub fn of_data(self) -> Self {
        Self { of_data: true, ..self }
    }

    /// With what to do about it.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// What is wrong, and what to do about it.
    pub fn parts(self) -> (String, Option<String>) {
        (self.message, self.hint)
    }

    /// Whether it is worth another try.
    pub fn is_transient(&self) -> bool {
        self.transient
    }

    /// Whether fewer rows may be read where many are not.
    pub fn is_of_data(&self) -> bool {
        self.of_data
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for SqlError {}
