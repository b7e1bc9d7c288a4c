//! What a crawl counts, to be told at its end.

use url::Url;

/// Pages that are named where many are counted.
const NAMED: usize = 3;

/// What is to be told at the end.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) orphans: u64,
    pub(super) outside: u64,
    pub(super) walls: u64,
    pub(super) hash_routes: u64,
    /// Pages that are empty without their scripts.
    pub(super) shells: Named,
    /// Pages that links lead to, and that are not there.
    pub(super) absent: Named,
    /// Pages that lead to themselves in the end.
    pub(super) circles: Named,
    pub(super) refused: u64,
    pub(super) kept: u64,
    pub(super) limited: bool,
    pub(super) deep: u64,
}

/// How many pages, and the first of them.
#[derive(Debug, Default)]
pub(super) struct Named {
    pub(super) count: u64,
    first: Vec<Url>,
}

impl Named {
    pub(super) fn add(&mut self, url: &Url) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(url.clone());
        }
    }

    /// `https://a.example/b, https://a.example/c, …`
    pub(super) fn names(&self) -> String {
        let names: Vec<&str> = self.first.iter().map(Url::as_str).collect();
        let more = if self.count > names.len() as u64 { ", …" } else { "" };
        format!("{}{more}", names.join(", "))
    }
}
