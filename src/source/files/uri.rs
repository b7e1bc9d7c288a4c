//! How files are named: by paths relative to a base folder, in UTF-8, with `/` between the parts.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

/// A path's uri: relative to `base` when it is below it (`.` for `base` itself), else absolute; `.` and `..` are taken out
/// by their names alone, without a look at the disk.
pub fn uri_of(path: &Path, base: &Path) -> String {
    let (path, base) = (normalise(path), normalise(base));
    match path.strip_prefix(&base) {
        Ok(rest) if rest.as_os_str().is_empty() => ".".to_owned(),
        Ok(rest) => join("", rest),
        Err(_) => join("", &path),
    }
}

/// Without `.` and, by the letters alone, without `..`: documents are named by these paths.
pub(crate) fn normalise(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(out.components().next_back(), Some(Component::Normal(_))) => {
                out.pop();
            }
            // There is nothing above the root.
            Component::ParentDir if out.has_root() => {}
            part => out.push(part),
        }
    }
    out
}

/// The uri of an entry below a root, whose own uri is known.
pub(super) fn below(root_uri: &str, root: &Path, path: &Path) -> String {
    match path.strip_prefix(root) {
        Ok(rest) if rest.as_os_str().is_empty() => root_uri.to_owned(),
        Ok(rest) => join(if root_uri == "." { "" } else { root_uri }, rest),
        Err(_) => join("", path),
    }
}

fn join(prefix: &str, rest: &Path) -> String {
    let mut out = String::with_capacity(prefix.len() + rest.as_os_str().len() + 1);
    out.push_str(prefix);
    for part in rest.components() {
        if part == Component::RootDir {
            out.push('/');
            continue;
        }
        if !out.is_empty() && !out.ends_with('/') {
            out.push('/');
        }
        push_name(&mut out, part.as_os_str());
    }
    out
}

/// Appends a file name. Bytes that are not UTF-8 become U+FFFD and their value in hex: two such names stay two.
fn push_name(out: &mut String, name: &OsStr) {
    if let Some(name) = name.to_str() {
        out.push_str(name);
        return;
    }
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            let _ = write!(out, "{}{byte:02x}", char::REPLACEMENT_CHARACTER);
        }
    }
}

/// Whether the base folder and the uris below it lead back to the files of this root, but for names that are not UTF-8.
pub(super) fn is_plain(root: &Path) -> bool {
    root.is_absolute() && root.to_str().is_some() && normalise(root).as_os_str() == root.as_os_str()
}

/// What leads back to a path where its uri may not.
pub(super) fn key_of(path: &Path) -> Vec<u8> {
    #[cfg(unix)]
    return std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).to_vec();
    #[cfg(not(unix))]
    return path.to_string_lossy().into_owned().into_bytes();
}

/// The path that [`key_of`] was given.
pub(super) fn path_of_key(key: &[u8]) -> PathBuf {
    #[cfg(unix)]
    return PathBuf::from(<OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(key));
    #[cfg(not(unix))]
    return PathBuf::from(String::from_utf8_lossy(key).into_owned());
}

/// Whether a uri says all of its path. One that does not holds what [`push_name`] put in place of bytes.
pub(super) fn is_exact(uri: &str) -> bool {
    !uri.contains(char::REPLACEMENT_CHARACTER)
}
