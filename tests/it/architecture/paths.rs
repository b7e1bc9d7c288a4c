//! Where paths lead, through whatever passes their names on.

use std::collections::BTreeSet;

use super::read::{Crate, How, Mention, Module};

/// What one path leads to. The numbers are those of modules.
#[derive(Debug, Default)]
struct Way {
    /// In which of them a name of it was found.
    through: BTreeSet<usize>,
    /// Where what it ends at is defined.
    homes: BTreeSet<usize>,
    /// Those that it ends at themselves.
    modules: BTreeSet<usize>,
    /// The imports that are being followed: by module and number.
    following: Vec<(usize, usize)>,
}

/// One room, or one file, names what is in another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    pub from: String,
    pub to: String,
    pub file: String,
    pub line: usize,
    /// As it is written.
    pub path: String,
}

impl std::fmt::Display for Arrow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {} leads to {}", self.file, self.line, self.path, self.to)
    }
}

impl Crate {
    /// Each room that a room names, whichever way the name comes to it.
    pub fn between_rooms(&self) -> BTreeSet<Arrow> {
        self.arrows(
            |module| module.path.first().map(String::as_str),
            |_, way| way.through.iter().chain(&way.homes).chain(&way.modules).copied().collect(),
        )
    }

    /// Within each room, each file that a file names something of. Who names what is passed on names the file that defines it;
    /// to pass it on is not to use it. Left out is what a file names of the one that it lies below: a trait stands above its
    /// implementations, and what the parts of a whole have in common where the whole is (the house style), which is no circle
    /// but a room with corners.
    pub fn between_files(&self) -> BTreeSet<Arrow> {
        let mut arrows = self.arrows(
            |module| Some(&module.file),
            |how, way| match how {
                How::PassOn => Vec::new(),
                How::UseAll => way.homes.iter().chain(&way.modules).copied().collect(),
                How::Path | How::Use => way.homes.iter().copied().collect(),
            },
        );
        arrows.retain(|arrow| room_of_file(&arrow.from) == room_of_file(&arrow.to) && !is_below(&arrow.from, &arrow.to));
        arrows
    }

    fn arrows<'a>(
        &'a self,
        node: impl Fn(&'a Module) -> Option<&'a str>,
        ends: impl Fn(How, &Way) -> Vec<usize>,
    ) -> BTreeSet<Arrow> {
        let mut arrows = BTreeSet::new();
        for mention in &self.mentions {
            let here = &self.modules[mention.module];
            let Some(from) = node(here).filter(|_| !self.is_told_above(mention)) else { continue };
            let mut way = Way::default();
            self.follow(mention.module, &mention.path, &mut way);
            let path = mention.path.join("::");
            for to in ends(mention.how, &way).into_iter().filter_map(|module| node(&self.modules[module])) {
                if to != from {
                    let (from, to, path) = (from.to_owned(), to.to_owned(), path.clone());
                    arrows.insert(Arrow { from, to, file: here.file.clone(), line: mention.line, path });
                }
            }
        }
        arrows
    }

    /// Whether it begins with an item that a `use` of its module brings: that is an arrow already.
    fn is_told_above(&self, mention: &Mention) -> bool {
        let (How::Path, Some(first)) = (mention.how, mention.path.first()) else { return false };
        let own = self.modules[mention.module].imports.iter();
        own.filter(|import| import.name.as_ref() == Some(first) && !import.passes_on).any(|import| {
            let mut way = Way::default();
            self.follow(mention.module, &import.path, &mut way) && way.modules.is_empty()
        })
    }

    /// A path as it is written in this module. Whether it leads anywhere in this crate.
    fn follow(&self, from: usize, path: &[String], way: &mut Way) -> bool {
        let (mut from, mut rest) = (from, path);
        while let Some((first, after)) = rest.split_first() {
            let to = match first.as_str() {
                "crate" => Some(0),
                "self" => Some(from),
                "super" => self.modules[from].parent,
                _ => break,
            };
            let Some(to) = to else { return false };
            (from, rest) = (to, after);
        }
        if rest.len() == path.len() {
            return self.look(from, path, way);
        }
        // It is said where to look: what is not found there is made there, by a macro.
        if !self.look(from, rest, way) {
            way.homes.insert(from);
        }
        true
    }

    /// A path from this module on, which may define, hold or import its first name.
    fn look(&self, at: usize, path: &[String], way: &mut Way) -> bool {
        let Some((name, rest)) = path.split_first() else {
            way.modules.insert(at);
            way.through.insert(at);
            return true;
        };
        let module = &self.modules[at];
        let mut found = false;
        for child in module.children.get(name).into_iter().flatten() {
            if !self.look(*child, rest, way) {
                way.homes.insert(*child);
            }
            found = true;
        }
        let defined = if rest.is_empty() { &module.items } else { &module.types };
        if defined.contains(name) {
            way.homes.insert(at);
            found = true;
        }
        for (number, import) in module.imports.iter().enumerate() {
            if import.name.as_ref() == Some(name) && !way.following.contains(&(at, number)) {
                way.following.push((at, number));
                found |= self.follow(at, &[&import.path, rest].concat(), way);
                way.following.pop();
            }
        }
        for (number, import) in module.imports.iter().enumerate() {
            if !found && import.name.is_none() && !way.following.contains(&(at, number)) {
                way.following.push((at, number));
                let mut all = Way { following: way.following.clone(), ..Way::default() };
                self.follow(at, &import.path, &mut all);
                for module in all.modules {
                    found |= self.look(module, path, way);
                }
                way.following.pop();
            }
        }
        if found {
            way.through.insert(at);
        }
        found
    }
}

/// Whether a file lies below the module that another one holds: `a/b/c.rs` and `a/b.rs` below `a/mod.rs`.
fn is_below(file: &str, above: &str) -> bool {
    let folder = above.strip_suffix("/mod.rs").or_else(|| above.strip_suffix(".rs"));
    folder.and_then(|folder| file.strip_prefix(folder)).is_some_and(|rest| rest.starts_with('/'))
}

/// `src/a/b.rs`, `src/a/mod.rs` and `src/a.rs` are of the room `a`.
fn room_of_file(file: &str) -> &str {
    let inside = file.strip_prefix("src/").unwrap_or(file);
    inside.split_once('/').map_or_else(|| inside.trim_end_matches(".rs"), |(room, _)| room)
}
