//! The architecture test tested, on crates of a few lines.

use std::collections::BTreeSet;

use super::paths::Arrow;
use super::read::{Crate, Sources};
use super::{circles, picture};

fn read(files: &[(&str, &str)]) -> Crate {
    let sources: Sources = files.iter().map(|(name, text)| (format!("src/{name}"), (*text).to_owned())).collect();
    Crate::read(&sources).unwrap()
}

/// `from → to`, each once.
fn pairs(arrows: &BTreeSet<Arrow>) -> Vec<String> {
    let pairs: BTreeSet<String> = arrows.iter().map(|arrow| format!("{} → {}", arrow.from, arrow.to)).collect();
    pairs.into_iter().collect()
}

/// The arrows of a crate of three rooms, of which `a` holds this.
fn arrows_of(a: &str) -> Vec<String> {
    let crate_ = read(&[
        ("lib.rs", "pub mod a; pub mod b; pub mod c;"),
        ("a.rs", a),
        ("b.rs", "pub struct B; pub struct Other; pub fn make() {} pub mod deep { pub struct D; }"),
        ("c.rs", "pub struct C; pub fn make() {} pub const ONE: u8 = 1;"),
    ]);
    pairs(&crate_.between_rooms())
}

#[test]
fn an_innocent_crate_has_no_fault() {
    let innocent = read(&[
        ("lib.rs", "//! # The rooms, from the ground up\npub mod ground; pub mod roof;"),
        ("ground.rs", "use std::fmt; pub struct Stone; impl fmt::Debug for Stone {}"),
        ("roof/mod.rs", "mod tile; pub use tile::Tile;"),
        ("roof/tile.rs", "use crate::ground::Stone; pub struct Tile(Stone);"),
    ]);
    let arrows = innocent.between_rooms();
    assert_eq!(pairs(&arrows), ["roof → ground"]);
    let rooms = ["ground".to_owned(), "roof".to_owned()];
    assert_eq!(picture::differences(&rooms, &innocent.rooms()), [""; 0]);
    assert_eq!(picture::upward(&rooms, &arrows), [""; 0]);
    assert_eq!(circles::of(&arrows), [""; 0]);
    assert_eq!(circles::of(&innocent.between_files()), [""; 0]);
}

#[test]
fn an_upward_arrow_is_named_with_file_line_and_path() {
    let house = read(&[
        ("lib.rs", "pub mod ground; pub mod roof;"),
        ("ground.rs", "\n\nuse crate::roof::Tile;\npub struct Stone(Tile);"),
        ("roof.rs", "pub struct Tile;"),
    ]);
    let rooms = ["ground".to_owned(), "roof".to_owned()];
    let upward = picture::upward(&rooms, &house.between_rooms());
    assert_eq!(upward, ["src/ground.rs:3: crate::roof::Tile leads to roof, which stands above ground"]);
}

#[test]
fn a_circle_is_found_that_a_face_hides() {
    // By what is written, `a` names the root and `b` alone, and `c` names `a`.
    let crate_ = read(&[
        ("lib.rs", "pub mod a; pub mod b; pub mod c; pub use c::Root;"),
        ("a.rs", "pub struct A; use crate::Root; use crate::b::Passed as Mine;"),
        ("b/mod.rs", "mod inner; pub use inner::*;"),
        ("b/inner.rs", "pub(crate) use super::super::c::C as Passed;"),
        ("c.rs", "pub struct C(crate::a::A); pub struct Root;"),
    ]);
    let arrows = crate_.between_rooms();
    assert_eq!(pairs(&arrows), ["a → b", "a → c", "b → c", "c → a"]);
    let knots = circles::of(&arrows);
    assert_eq!(knots.len(), 1);
    let told = [
        "a circle of a, b, c:",
        "a → c\n    src/a.rs:1: crate::Root\n    src/a.rs:1: crate::b::Passed",
        "c → a\n    src/c.rs:1: crate::a::A",
    ];
    assert!(told.iter().all(|part| knots[0].contains(part)), "{}", knots[0]);
}

#[test]
fn two_knots_are_told_apart() {
    let crate_ = read(&[
        ("lib.rs", "mod a; mod b; mod c; mod d; mod e;"),
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "use crate::a::A; use crate::c::C; pub struct B;"),
        ("c.rs", "use crate::d::D; pub struct C;"),
        ("d.rs", "use crate::c::C; use crate::e::E; pub struct D;"),
        ("e.rs", "pub struct E;"),
    ]);
    let knots = circles::of(&crate_.between_rooms());
    let first: Vec<&str> = knots.iter().filter_map(|knot| knot.lines().next()).collect();
    assert_eq!(first, ["a circle of a, b:", "a circle of c, d:"]);
    assert!(knots.iter().all(|knot| !knot.contains("b → c")), "it is in no circle: {knots:?}");
}

#[test]
fn every_way_to_name_something_is_an_arrow() {
    let ways = [
        "use crate::b::B;",
        "use super::b::B;",
        "use crate::b;",
        "use crate::b as other; fn f() { other::make() }",
        "use crate::{b::{self, deep::{D as _}}};",
        "use crate::b::*;",
        "use super::*; fn f(_: b::B) {}",
        "use self::super::b::B;",
        "pub use crate::b::B;",
        "mod inner { use super::super::b::B; }",
        "mod inner {} use super::b::B;",
        "fn f() { use crate::b::B; }",
        "fn f() { crate::b::make() }",
        "fn f() -> Option<Vec<super::b::B>> { None }",
        "fn f(x: impl Into<crate::b::B>) {}",
        "struct A { b: [crate::b::B; 2] }",
        "impl From<crate::b::B> for u8 {}",
        "fn f(x: u8) { match x { crate::b::MADE_BY_A_MACRO => {} _ => {} } }",
        "fn f() { <u8 as crate::b::B>::go() }",
        "fn f() { Vec::<crate::b::B>::new(); }",
        "fn f() { stream! { yield crate::b::make()?; } }",
        "fn f() { assert_eq!(1, { (x.y)(super::b::make()) }, \"{}\", 1) }",
        "use crate::b::deep; fn f() { format!(\"{}\", deep::D) }",
        "fn f() { crate::b::made!(1) }",
        "fn f() { made!(x: crate::b::B, y) }",
        "macro_rules! m { () => { $crate::b::make() } }",
        "#[derive(crate::b::Derived)] struct A;",
        "struct A { #[serde(with = \"crate::b::deep\")] x: u8 }",
        "#[cfg(not(test))] fn f() { crate::b::make() }",
        "use crate::r#b::r#B; fn r#fn() {}",
    ];
    for way in ways {
        assert_eq!(arrows_of(way), ["a → b"], "{way}");
    }
}

#[test]
fn what_is_no_arrow_is_none() {
    let ways = [
        "//! [`crate::b::B`]\n/// [b](super::b)\npub struct A;",
        "use super::*; use ::b::B; fn f() { ::b::make() }",
        "use b::B as Extern; use std::b;",
        "use super::*; fn f<'b>() { m!(self.b, x.b(), &'b x) }",
        "pub(in crate::b) struct A;",
        "#[cfg(test)] mod tests { use crate::b::B; }",
        "#[cfg(test)] mod tests;",
        "#[cfg(all(unix, test))] fn f() { crate::b::make() }",
        "struct A; impl A { #[cfg(test)] fn f() { crate::b::make() } }",
        "trait A { #[cfg(test)] fn f() { crate::b::make() } }",
        "#[tokio::test] async fn f() { crate::b::make() }",
        "fn f(b: u8) -> u8 { b + format!(\"crate::b::make {b}\").len() }",
        "fn f() { \"crate::b::make\"; }",
        "mod b { pub fn make() {} } fn f() { b::make() }",
        "use self::A; use super::a::A as B; pub struct A;",
    ];
    for way in ways {
        assert_eq!(arrows_of(way), [""; 0], "{way}");
    }
}

#[test]
fn names_are_followed_through_stars_and_names_of_their_own() {
    assert_eq!(arrows_of("pub mod b { pub use crate::c::make; } fn f() { b::make() }"), ["a → c"]);
    assert_eq!(
        arrows_of("mod x { pub use crate::b::*; pub use crate::c::ONE; } use x::*; fn f() -> B { ONE }"),
        ["a → b", "a → c"]
    );
    let renamed = read(&[
        ("lib.rs", "pub mod a; pub mod b; pub mod c;"),
        ("a.rs", "use crate::b::{self as other}; fn f() { other::passed() }"),
        ("b.rs", "pub use crate::c::make as passed;"),
        ("c.rs", "pub fn make() {}"),
    ]);
    assert_eq!(pairs(&renamed.between_rooms()), ["a → b", "a → c", "b → c"]);
    let round = read(&[
        ("lib.rs", "pub mod a; pub mod b;"),
        ("a.rs", "pub use crate::b::*; pub use crate::a::x::x; pub mod x { pub use super::*; pub fn x() {} }"),
        ("b.rs", "pub use crate::a::*; pub use crate::a::nothing;"),
    ]);
    assert_eq!(pairs(&round.between_rooms()), ["a → b", "b → a"], "and it ends");
}

#[test]
fn whatever_features_choose_is_read_wherever_it_is() {
    let crate_ = read(&[
        ("lib.rs", "pub mod a; pub mod b; pub mod c;"),
        ("a/mod.rs", "#[cfg(unix)] mod x; #[cfg(not(unix))] #[path = \"other/place.rs\"] mod x; pub use x::name;"),
        ("a/x.rs", "pub use crate::b::name;"),
        ("a/other/place.rs", "mod below; pub use below::name;"),
        ("a/other/below.rs", "pub use crate::c::name;"),
        ("b.rs", "pub fn name() {}"),
        ("c.rs", "pub fn name() {}"),
    ]);
    assert_eq!(pairs(&crate_.between_rooms()), ["a → b", "a → c"]);
    assert_eq!(crate_.modules.iter().filter(|module| module.file.starts_with("src/a/")).count(), 4);
}

#[test]
fn files_of_a_room_are_in_a_circle_only_by_what_they_define() {
    let room = |face: &str, below: &str| {
        let crate_ = read(&[
            ("lib.rs", "pub mod room;"),
            ("room/mod.rs", &format!("mod below; mod above; pub use below::Below; pub use above::Above; {face}")),
            ("room/above.rs", "use super::Below; pub struct Above(Below);"),
            ("room/below.rs", &format!("pub struct Below; {below}")),
        ]);
        let first = |knot: String| knot.lines().next().unwrap_or_default().to_owned();
        circles::of(&crate_.between_files()).into_iter().map(first).collect::<Vec<_>>()
    };
    assert_eq!(room("", ""), [""; 0]);
    assert_eq!(room("", "use crate::room::Above;"), ["a circle of src/room/above.rs, src/room/below.rs:"]);
    assert_eq!(room("", "use super::above; fn f() { above::go() }"), ["a circle of src/room/above.rs, src/room/below.rs:"]);
    assert_eq!(
        room("", "fn f() { info!(\"{}\", super::above::NAME); }"),
        ["a circle of src/room/above.rs, src/room/below.rs:"]
    );
    // A function is no module, though both have one name.
    assert_eq!(room("fn below() { Above; }", "fn f() { super::below::Below; }"), [""; 0]);
    // The face has something of its own, which the files below use, as a trait stands above its implementations.
    let own = "pub struct Face; fn f() { Below; }";
    assert_eq!(room(own, "use super::Face;"), [""; 0]);
    assert_eq!(room(own, "fn f() { super::made_by_a_macro() }"), [""; 0]);
    // But no file above another one's: what two sides have in common lies below both.
    assert_eq!(room(own, "use super::{Face, Above};"), ["a circle of src/room/above.rs, src/room/below.rs:"]);
}

#[test]
fn what_a_star_passes_on_is_where_it_is_defined() {
    let room = read(&[
        ("lib.rs", "pub mod room;"),
        ("room/mod.rs", "mod below; mod above; pub use below::*; fn own() { above::go() }"),
        ("room/above.rs", "pub fn go() { super::step() }"),
        ("room/below.rs", "pub fn step() {}"),
    ]);
    let expected = ["src/room/above.rs → src/room/below.rs", "src/room/mod.rs → src/room/above.rs"];
    assert_eq!(pairs(&room.between_files()), expected);
}

#[test]
fn files_of_different_rooms_are_left_to_the_rooms() {
    let crate_ = read(&[
        ("lib.rs", "pub mod a; pub mod b;"),
        ("a/mod.rs", "mod x;"),
        ("a/x.rs", "use crate::b::B; pub struct X;"),
        ("b.rs", "use crate::a::x::X; pub struct B;"),
    ]);
    assert_eq!(circles::of(&crate_.between_files()), [""; 0]);
    assert_eq!(circles::of(&crate_.between_rooms()).len(), 1);
}

#[test]
fn the_picture_is_read_as_it_is_written() {
    let list = "//! # Before\n//! 1. [`no`]\n//!\n//! # The rooms, from the ground up\n//!\n//! From below:\n//! 1. [`document`]: what \
                flows, see\n//!    [`answer`].\n//! 2. Where it is cut: [`crate::chunk`].\n//!\n//!    10. [`answer`]\n//! - [`other`]\n//! # \
                After\n//! 4. [`cli`]\npub mod document;";
    assert_eq!(picture::rooms(list).unwrap(), ["document", "chunk", "answer"]);
    assert!(picture::rooms("//! 1. [`document`]").unwrap_err().contains("no heading"));
    assert!(picture::rooms("//! # The rooms, from the ground up\n//! nothing").unwrap_err().contains("no numbered list"));
    assert!(picture::rooms("//! # The rooms, from the ground up\n//! 1. document").unwrap_err().contains("links no room"));

    let picture = ["a", "b", "b", "x"].map(str::to_owned);
    let differences = picture::differences(&picture, &BTreeSet::from(["a", "b", "c"]));
    let expected = ["does not show c", "shows x, which is no module", "shows b twice"];
    assert!(
        differences.len() == 3 && differences.iter().zip(expected).all(|(told, end)| told.ends_with(end)),
        "{differences:?}"
    );
}

#[test]
fn who_may_not_know_a_room_is_named() {
    let house = read(&[
        ("lib.rs", "mod pipeline; mod answer; mod cli; pub use pipeline::Plan;"),
        ("pipeline.rs", "pub struct Plan;"),
        ("answer.rs", "fn f(_: crate::Plan) {}"),
        ("cli.rs", "use crate::pipeline::Plan;"),
    ]);
    let wrong = picture::imports_of("pipeline", &["cli"], &house.between_rooms());
    assert_eq!(wrong, ["src/answer.rs:1: crate::Plan leads to pipeline, which answer may not know"]);
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let error = |files: &[(&str, &str)]| {
        let sources = files.iter().map(|(name, text)| (format!("src/{name}"), (*text).to_owned())).collect();
        Crate::read(&sources).unwrap_err()
    };
    assert_eq!(error(&[("lib.rs", "mod gone;")]), "src/lib.rs: there is no src/gone.rs");
    assert!(error(&[("lib.rs", "mod a;"), ("a.rs", "\nfn (")]).starts_with("src/a.rs:2: "));
}
