//! The code held to the picture in `src/lib.rs`: its list of rooms, from the ground up, is the order in which they may import
//! each other.
//!
//! A *room* is a top-level module. An *arrow* runs from a file to whatever it names: in a `use` (nested, renamed, with `*`), in a
//! path within an expression, a type, a pattern or a bound, among the tokens of a macro or of an attribute, or in a path that an
//! attribute carries as a string (`#[serde(with = "crate::a::b")]`). A name that a module only passes on leads also to where it
//! comes from: re-exports hid the circles that were here once.
//!
//! Left out are `#[cfg(test)]` and `#[test]`, since tests may reach up; links in documentation, for the same reason; the
//! programs (`src/main.rs`, `src/bin`, `src/allocator.rs`), which stand on the roof; and `src/lib.rs` itself, which is no room.
//! Not seen is what is used without a name, such as a method of a value that somebody else made.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

mod circles;
mod paths;
mod picture;
mod read;
mod samples;

use read::{Crate, Sources};

/// The rooms above `pipeline`: who runs a plan may know the file that it was written in.
const ROOF: [&str; 4] = ["runtime", "eval", "serve", "cli"];

static SOURCES: LazyLock<Sources> = LazyLock::new(|| {
    let mut sources = Sources::new();
    gather(Path::new(env!("CARGO_MANIFEST_DIR")), "src", &mut sources);
    sources
});

static CRATE: LazyLock<Crate> = LazyLock::new(|| Crate::read(&SOURCES).unwrap());

fn gather(home: &Path, folder: &str, sources: &mut Sources) {
    for entry in std::fs::read_dir(home.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            gather(home, &name, sources);
        } else if entry.path().extension().is_some_and(|extension| extension == "rs") {
            sources.insert(name, std::fs::read_to_string(entry.path()).unwrap());
        }
    }
}

fn rooms() -> Vec<String> {
    picture::rooms(&SOURCES["src/lib.rs"]).unwrap()
}

fn expect_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Else a fault could hide in a file that nobody looked at.
#[test]
fn every_file_is_looked_at() {
    let read: BTreeSet<&str> = CRATE.modules.iter().map(|module| module.file.as_str()).collect();
    // The kernel is a crate of its own.
    let apart = ["src/bin/", "src/kernel/"];
    let program =
        |file: &str| file == "src/main.rs" || file == "src/allocator.rs" || apart.iter().any(|folder| file.starts_with(folder));
    let missed: Vec<&String> =
        SOURCES.keys().filter(|file| !read.contains(file.as_str()) && !CRATE.is_for_tests(file) && !program(file)).collect();
    assert!(missed.is_empty(), "no module of src/lib.rs: {missed:#?}");
}

#[test]
fn the_picture_shows_every_room() {
    expect_none(&picture::differences(&rooms(), &CRATE.rooms()));
}

#[test]
fn no_room_imports_one_above_it() {
    expect_none(&picture::upward(&rooms(), &CRATE.between_rooms()));
}

#[test]
fn no_rooms_import_each_other_in_a_circle() {
    expect_none(&circles::of(&CRATE.between_rooms()));
}

#[test]
fn the_pipeline_file_is_known_on_the_roof_alone() {
    expect_none(&picture::imports_of("pipeline", &ROOF, &CRATE.between_rooms()));
}

/// The files of one room. A file that only passes on what others define is in no circle: what is named through it leads to them.
#[test]
fn no_files_of_a_room_import_each_other_in_a_circle() {
    expect_none(&circles::of(&CRATE.between_files()));
}
