//! What the points of a map are coloured by: the folder of their document.

use std::collections::HashMap;

/// Groups, at most, besides the others: eyes tell no more colours.
pub(super) const GROUPS: usize = 7;

/// The names of the groups, the largest first, and the group of each uri; those of no group have the number after the last.
pub(super) fn of(uris: &[&str]) -> (Vec<String>, Vec<usize>) {
    let paths: Vec<Vec<&str>> = uris.iter().map(|uri| segments(uri)).collect();
    let shared = shared(&paths);
    let folders = |path: &[&str]| path.get(shared).filter(|_| path.len() > shared + 1).map(|name| (*name).to_owned());
    let mut names: Vec<String> = paths.iter().map(|path| folders(path).unwrap_or_else(|| ".".to_owned())).collect();
    if names.iter().all(|name| name == ".") {
        // No folders: the documents themselves.
        names = paths.iter().map(|path| path.last().copied().unwrap_or_default().to_owned()).collect();
    }
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for name in &names {
        *counts.entry(name).or_default() += 1;
    }
    let mut ordered: Vec<(&str, usize)> = counts.into_iter().collect();
    ordered.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    ordered.truncate(GROUPS);
    let numbers: HashMap<&str, usize> = ordered.iter().enumerate().map(|(number, (name, _))| (*name, number)).collect();
    let groups = names.iter().map(|name| numbers.get(name.as_str()).copied().unwrap_or(ordered.len())).collect();
    (ordered.iter().map(|(name, _)| (*name).to_owned()).collect(), groups)
}

/// The folders above a document and its name; a scheme and a host are one.
fn segments(uri: &str) -> Vec<&str> {
    let host = uri.find("://").map(|at| at + 3).and_then(|after| {
        let rest = uri.get(after..)?;
        Some(after + rest.find('/').unwrap_or(rest.len()))
    });
    let (head, path) = host.and_then(|at| uri.split_at_checked(at)).unwrap_or(("", uri));
    let head = (!head.is_empty()).then_some(head);
    head.into_iter().chain(path.split('/').filter(|segment| !segment.is_empty())).collect()
}

/// How many folders all have in common.
fn shared(paths: &[Vec<&str>]) -> usize {
    let Some(first) = paths.first() else { return 0 };
    let mut shared = first.len().saturating_sub(1);
    for path in paths {
        let same = first.iter().zip(path).take_while(|(a, b)| a == b).count();
        shared = shared.min(same).min(path.len().saturating_sub(1));
    }
    shared
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grouped(uris: &[&str]) -> Vec<String> {
        let (names, groups) = of(uris);
        groups.into_iter().map(|group| names.get(group).cloned().unwrap_or_else(|| "others".into())).collect()
    }

    #[test]
    fn documents_are_grouped_by_the_first_folder_that_differs() {
        assert_eq!(grouped(&["docs/a/1.md", "docs/a/b/2.md", "docs/c/3.md", "docs/4.md"]), ["a", "a", "c", "."]);
        assert_eq!(grouped(&["/srv/x/1.md", "/srv/y/2.md"]), ["x", "y"]);
        assert_eq!(grouped(&["https://a.example/1", "https://b.example/x/2"]), ["https://a.example", "https://b.example"]);
        assert_eq!(grouped(&["https://a.example/guide/1", "https://a.example/api/2"]), ["guide", "api"]);
        assert_eq!(grouped(&["文档/指南/一.md", "文档/参考/二.md"]), ["指南", "参考"]);
        assert_eq!(grouped(&["docs/1.md", "docs/2.md", "docs/1.md"]), ["1.md", "2.md", "1.md"], "no folders: by document");
        assert_eq!(grouped(&["", "/", "a"]), ["", "", "a"]);
        assert_eq!(grouped(&[]), [""; 0]);
    }

    #[test]
    fn the_largest_have_a_colour_of_their_own() {
        let uris: Vec<String> = (0..20).flat_map(|n| (0..=n).map(move |m| format!("{n:02}/{m}.md"))).collect();
        let (names, groups) = of(&uris.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(names, ["19", "18", "17", "16", "15", "14", "13"]);
        assert_eq!(groups.iter().filter(|group| **group == GROUPS).count(), (0..13).map(|n| n + 1).sum::<usize>());
    }
}
