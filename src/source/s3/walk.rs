//! The walk over all keys, a page at a time.

use std::path::Path;

use futures_util::Stream;

use super::client::Client;
use super::failure::Failure;
use super::listing::Object;
use super::plan::S3Plan;
use crate::parse::{Guess, guess};
use crate::source::{Item, Listed, SkipReason, SourceError, Version};

/// Pages in a row that may be without an object: a server may pass over what was deleted.
const EMPTY_PAGES: usize = 250;

/// Lists the objects of a plan.
pub(super) fn walk<'a>(plan: &'a S3Plan, client: &'a Client) -> impl Stream<Item = Listed> + Send + 'a {
    async_stream::stream! {
        let (mut token, mut empty, mut any): (Option<String>, usize, bool) = (None, 0, false);
        loop {
            let page = match client.page(token.as_deref()).await {
                Ok(page) => page,
                Err(failure) => {
                    yield unreadable(plan.root(), failure);
                    break;
                }
            };
            any |= !page.objects.is_empty();
            empty = if page.objects.is_empty() { empty + 1 } else { 0 };
            let mut astray = false;
            for object in page.objects {
                match judge(plan, object) {
                    Some(listed) => yield listed,
                    None => astray = true,
                }
            }
            let stuck = page.next.is_some() && (page.next == token || empty > EMPTY_PAGES);
            if astray || stuck {
                let why = if stuck { "the list of objects does not go on" } else { "objects are listed that were not asked for" };
                yield unreadable(plan.root(), Failure::new(why).hint("the server does not list as S3 does"));
                break;
            }
            token = page.next;
            if token.is_none() {
                if !any {
                    yield Listed::Notice(format!("{}: there is no object", plan.root()));
                }
                break;
            }
        }
        yield Listed::Complete;
    }
}

fn unreadable(prefix: String, failure: Failure) -> Listed {
    Listed::Unreadable { prefix, error: SourceError::new(failure) }
}

impl S3Plan {
    /// Why an object of this uri is never taken, whatever is in it.
    pub fn refusal(&self, uri: &str) -> Option<SkipReason> {
        let key = self.key(uri)?;
        let object = Object { key: Some(Ok(key.to_owned())), size: 1, ..Object::default() };
        match judge(self, object)? {
            Listed::Skipped { reason, .. } => Some(reason),
            _ => None,
        }
    }
}

/// What becomes of an object; `None` where it was not asked for.
fn judge(plan: &S3Plan, object: Object) -> Option<Listed> {
    let Object { key, size, etag, modified } = object;
    let key = match key? {
        Ok(key) => key,
        Err(written) => return Some(unreadable(plan.uri(&written), Failure::new("its key is no UTF-8").hint(RENAME))),
    };
    let below = key.strip_prefix(&plan.prefix)?;
    let uri = plan.uri(&key);
    let skipped = |reason| Some(Listed::Skipped { uri: uri.clone(), reason });
    let (path, name) = (Path::new(below), below.rsplit('/').next().unwrap_or_default());
    if below.split('/').any(|part| SkipReason::is_hidden(part.as_bytes()) && !matches!(part, "." | "..")) {
        return skipped(SkipReason::Hidden);
    }
    if plan.exclude.is_match(path) || !(plan.include.is_empty() || plan.include.is_match(path)) {
        return skipped(SkipReason::Excluded);
    }
    if matches!(guess(name), Guess::Unsupported(_)) {
        return skipped(SkipReason::UnsupportedFormat);
    }
    // What consoles make for a folder is an object without bytes, whose key ends with a slash.
    if size == 0 {
        return skipped(SkipReason::Empty);
    }
    if size > plan.max_bytes {
        return skipped(SkipReason::TooLarge);
    }
    if is_dotted(&key) {
        let failure = Failure::new("its key has a part that is `.` or `..`, and would be another one in an address");
        return Some(unreadable(uri, failure.hint(RENAME)));
    }
    let version = version(etag.as_deref(), size, modified);
    let key = etag.unwrap_or_default().into_bytes();
    Some(Listed::Item(Item { uri, version, size: Some(size), key }))
}

const RENAME: &str = "give it another key, or `exclude` it";

/// Whether every HTTP client asks for another key in place of this one.
pub(super) fn is_dotted(key: &str) -> bool {
    key.split('/').any(|part| matches!(part, "." | ".."))
}

/// The version of an object. Without an `ETag` nothing proves that it is the same: two writes within a second look alike.
pub(super) fn version(etag: Option<&str>, size: u64, modified: Option<i64>) -> Version {
    match etag.filter(|etag| !etag.trim_matches('"').is_empty()) {
        Some(etag) => Version::new(format!("{etag}\n{size}\n{}", modified.unwrap_or(-1))),
        None => Version::UNKNOWN,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a failing test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::{anywhere, glob, glob_set};

    fn plan(folder: &str, include: &[&str], exclude: &[&str]) -> S3Plan {
        let set = |patterns: &[&str]| glob_set(patterns.iter().map(|text| glob(&anywhere(text)).unwrap()).collect()).unwrap();
        let mut plan = S3Plan::new("docs", "us-east-1", None, None).unwrap().below(folder);
        (plan.include, plan.exclude) = (set(include), set(exclude));
        plan.max_bytes = 1000;
        plan
    }

    fn object(key: &str, size: u64) -> Object {
        Object { key: Some(Ok(key.into())), size, etag: Some("\"1\"".into()), modified: Some(7) }
    }

    #[test]
    fn objects_are_left_out_for_the_reasons_that_files_are() {
        let plan = plan("a", &[], &["draft/**", "*.log"]);
        for (key, size, reason) in [
            ("a/b.md", 5, None),
            ("a/指南 100%+1.md", 5, None),
            ("a//b.md", 5, None),
            ("a/b", 1000, None),
            ("a/", 0, Some(SkipReason::Empty)),
            ("a/b/", 0, Some(SkipReason::Empty)),
            ("a/b.md", 0, Some(SkipReason::Empty)),
            ("a/b.md", 1001, Some(SkipReason::TooLarge)),
            ("a/.git/b.md", 5, Some(SkipReason::Hidden)),
            ("a/~$b.docx", 162, Some(SkipReason::Hidden)),
            ("a/.~lock.b.odt#", 80, Some(SkipReason::Hidden)),
            ("a/~b$.docx", 5, None),
            ("a/draft/x/b.md", 5, Some(SkipReason::Excluded)),
            ("a/x/b.log", 5, Some(SkipReason::Excluded)),
            ("a/x/b.zip", 5, Some(SkipReason::UnsupportedFormat)),
        ] {
            match (judge(&plan, object(key, size)).unwrap(), reason) {
                (Listed::Item(item), None) => {
                    assert_eq!((item.uri, item.size, item.key), (format!("s3://docs/{key}"), Some(size), b"\"1\"".to_vec()));
                }
                (Listed::Skipped { uri, reason }, Some(expected)) => {
                    assert_eq!((uri, reason), (format!("s3://docs/{key}"), expected));
                }
                (other, _) => panic!("{key}: {other:?}"),
            }
        }
        assert!(judge(&plan, object("b/c.md", 5)).is_none() && judge(&plan, Object::default()).is_none());
        for key in [Ok("a/../b.md".into()), Ok("a/./b.md".into()), Err("a/%FF".into())] {
            let listed = judge(&plan, Object { key: Some(key), ..object("", 5) });
            assert!(matches!(listed, Some(Listed::Unreadable { prefix, .. }) if prefix.starts_with("s3://docs/a/")));
        }
    }

    #[test]
    fn only_an_etag_proves_anything() {
        let known = version(Some("\"a\""), 1, Some(2));
        assert!(known.proves(&version(Some("\"a\""), 1, Some(2))));
        for other in [version(Some("\"b\""), 1, Some(2)), version(Some("\"a\""), 2, Some(2)), version(Some("\"a\""), 1, None)] {
            assert!(!other.proves(&known));
        }
        for etag in [None, Some(""), Some("\"\"")] {
            assert!(!version(etag, 1, Some(2)).proves(&version(etag, 1, Some(2))));
        }
    }

    proptest! {
        /// What is included below a folder is what is included without it, of the rest of the key.
        #[test]
        fn globs_look_at_the_key_below_the_prefix(rest in "[a-c/指 ]{0,11}[a-c]\\.(md|txt)", pattern in "\\*\\.md|a/\\*\\*|b/\\*\\.txt|/c\\*") {
            let taken = |plan: &S3Plan, key: &str| matches!(judge(plan, object(key, 5)), Some(Listed::Item(_)));
            let (whole, below) = (plan("", &[&pattern], &[]), plan("x/y", &[&pattern], &[]));
            prop_assert_eq!(taken(&whole, &rest), taken(&below, &format!("x/y/{rest}")));
            let (not, within) = (plan("", &[], &[&pattern]), taken(&whole, &rest));
            prop_assert_eq!(taken(&not, &rest), !within);
        }
    }
}
