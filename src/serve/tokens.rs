//! Tokens, and those in a file, which is read anew when it changes: one that is taken out of it opens nothing any more.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio_util::sync::CancellationToken;

use super::error::ServeError;
use super::pipelines::keep_looking;
use crate::error::reason;

/// A token, of which only the hash is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(blake3::Hash);

impl Token {
    /// Letters that a token has, at least: what can be guessed is none.
    const SHORTEST: usize = 16;

    /// # Errors
    /// When it is too short, or has letters that no header carries.
    pub fn new(token: &str) -> Result<Self, ServeError> {
        let token = token.trim();
        if token.len() < Self::SHORTEST || !token.chars().all(|c| c.is_ascii_graphic() && !";,\"\\".contains(c)) {
            return Err(ServeError::WeakToken);
        }
        Ok(Self(blake3::hash(token.as_bytes())))
    }

    /// The hash of what is taken for a token.
    pub(super) fn asked(token: &str) -> Self {
        Self(blake3::hash(token.as_bytes()))
    }

    /// Whether it is one of these. All of them are compared, each in constant time.
    pub(super) fn is_among(&self, tokens: &[Self]) -> bool {
        tokens.iter().map(|of| of == self).fold(false, |known, is| known | is)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Tokens in a file, one a line; lines that begin with `#` are none.
#[derive(Debug, Clone)]
pub struct TokenFile(Arc<State>);

#[derive(Debug)]
struct State {
    path: PathBuf,
    tokens: RwLock<Vec<Token>>,
    /// Why the file, as it was last seen, was not taken over.
    trouble: Mutex<Option<String>>,
}

impl TokenFile {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, or what is in it is no token.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, ServeError> {
        let path = path.into();
        let tokens = RwLock::new(read(&path)?);
        Ok(Self(Arc::new(State { path, tokens, trouble: Mutex::default() })))
    }

    /// Whether no token is in it. Once one was, one always is.
    pub fn is_empty(&self) -> bool {
        self.0.tokens.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Whether this is one of the tokens.
    pub(super) fn knows(&self, asked: &Token) -> bool {
        asked.is_among(&self.0.tokens.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes over what is in it now. A file that is gone, empty or not valid changes nothing, so that a slip opens no door and locks
    /// nobody out; which is said once.
    fn look(&self) {
        let State { path, tokens, trouble } = &*self.0;
        // A pipe says what it says once, and may wait for ever to be written.
        if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            return;
        }
        let read = match read(path) {
            Ok(read) if read.is_empty() && !self.is_empty() => Err(ServeError::NoToken(path.clone())),
            read => read,
        };
        let mut trouble = trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(read) => {
                *trouble = None;
                let mut tokens = tokens.write().unwrap_or_else(PoisonError::into_inner);
                if *tokens != read {
                    tracing::info!(file = %path.display(), tokens = read.len(), "the file of tokens has changed and is taken over");
                    *tokens = read;
                }
            }
            Err(error) => {
                let message = reason(&error);
                if trouble.as_ref() != Some(&message) {
                    tracing::warn!(file = %path.display(), "{message}: the tokens that it held before are valid on");
                    *trouble = Some(message);
                }
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<Token>, ServeError> {
    let unread = |source: io::Error| ServeError::Tokens { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(unread)?;
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).map(Token::new).collect()
}

/// Looks at the file now and then.
pub(super) async fn watch(file: TokenFile, stop: CancellationToken) {
    keep_looking(stop, move || file.look()).await;
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    const A: &str = "tok-alpha-0123456789";
    const B: &str = "tok-gamma-0123456789";

    #[test]
    fn a_token_that_is_taken_out_opens_nothing_and_a_file_that_is_gone_or_empty_opens_nothing_new() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        std::fs::write(&path, format!("# ours\n{A}\n")).unwrap();
        let file = TokenFile::open(&path).unwrap();
        let knows = |token: &str| file.knows(&Token::asked(token));
        assert!(knows(A) && !knows(B));

        std::fs::write(&path, B).unwrap();
        file.look();
        assert!(!knows(A) && knows(B));

        for broken in ["", "# none\n", "short", &format!("{A}\nshort\n")] {
            std::fs::write(&path, broken).unwrap();
            file.look();
            assert!(knows(B) && !knows(A) && !knows(""), "{broken:?}");
            assert!(file.0.trouble.lock().unwrap().is_some(), "{broken:?}");
        }
        std::fs::remove_file(&path).unwrap();
        file.look();
        assert!(knows(B) && file.0.trouble.lock().unwrap().as_ref().unwrap().starts_with("cannot read"));

        std::fs::write(&path, format!("{A}\n{B}\n")).unwrap();
        file.look();
        assert!(knows(A) && knows(B) && file.0.trouble.lock().unwrap().is_none());
    }
}
