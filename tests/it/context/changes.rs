//! Another setting makes all contexts anew, whatever is unchanged besides, and an edit those of the chunks that are new.

use serde_json::{Value, json};

use super::World;
use crate::rig::{Kind, document};

const SMALL: &str = "{ model: writer/small }";
const OTHER: &str = "{ model: writer/other }";

fn numbers(summary: &Value) -> (u64, u64, u64) {
    let of = |value: &Value| value.as_u64().unwrap_or_default();
    (of(&summary["documents"]["changed"]), of(&summary["documents"]["unchanged"]), of(&summary["contexts"]["written"]))
}

#[test]
fn on_another_model_and_off_again() {
    let world = World::new(Kind::Embedded);
    world.rig.write_documents(4);
    world.rig.pipeline("docs");
    let plain = world.rig.complete();
    assert!(plain.get("contexts").is_none(), "{plain}");
    let before = world.rig.contents();
    let chunks = before.len() as u64;

    for context in [SMALL, OTHER, SMALL] {
        world.context("docs", context);
        let (plan, asked) = (world.plan(), world.asked());
        assert_eq!(plan["documents"]["changed"], 4, "{plan}");
        assert_eq!((&plan["chunks"]["new"], &plan["chunks"]["deleted"]), (&json!(chunks), &json!(chunks)), "{plan}");
        let summary = world.rig.complete();
        assert_eq!(numbers(&summary), (4, 0, plan["contexts"]["requests"].as_u64().unwrap()), "{context}: {summary}");
        assert_eq!((world.asked() - asked) as u64, plan["contexts"]["requests"].as_u64().unwrap());
        world.expect_whole(context, Some(context));
        assert_eq!(numbers(&world.rig.complete()), (0, 4, 0), "{context}: once");
    }
    assert_eq!(world.asked() as u64, 2 * chunks, "what the first model has said is kept");

    world.rig.pipeline("docs");
    let off = world.rig.complete();
    assert_eq!(numbers(&off), (4, 0, 0), "{off}");
    assert_eq!(off["embeddings"]["embedded"], 0, "its vectors are kept, too");
    assert_eq!(world.rig.contents(), before, "as if it had never been on");
}

#[test]
fn a_change_that_was_killed_is_gone_on_with() {
    let world = World::new(Kind::Embedded);
    world.rig.write_documents(8);
    world.rig.pipeline("docs");
    world.rig.complete();
    world.context("docs", SMALL);
    let chunks = world.plan()["contexts"]["requests"].as_u64().unwrap() as usize;
    world.rig.kill_when(&[], || world.asked() >= chunks / 2);
    world.goes_on(chunks);
    world.expect_whole("went on", Some(SMALL));
}

fn edited(kind: Kind) {
    let world = World::new(kind);
    world.rig.write_documents(2);
    world.rig.complete();
    let asked = world.asked();
    let above = "A paragraph that was not there before, and is long enough to be a chunk of its own here.\n\n";
    world.rig.project.write("docs/00.txt", format!("{above}{}", document(0, 4)));
    let plan = world.plan();
    assert_eq!((&plan["chunks"]["new"], &plan["chunks"]["moved"]), (&json!(1), &json!(4)), "{plan}");
    let summary = world.rig.complete();
    assert_eq!((world.asked() - asked, &summary["contexts"]["written"]), (1, &json!(1)), "{summary}");
    // What moved has kept what was said of it: at line 0 then, which is another's now.
    let found = super::hits(&world, "platypus", "sparse");
    let of = |uri: &str| found.iter().filter(|hit| hit["uri"] == uri).count();
    assert_eq!((of("docs/00.txt"), of("docs/01.txt")), (5, 5), "{found:?}");
    // And so it is after the ledger was lost, and what the store has is all that is known.
    world.rig.lose_ledger();
    let again = world.rig.complete();
    assert_eq!((&again["chunks"]["upserted"], &again["chunks"]["deleted"]), (&json!(0), &json!(0)), "{again}");
    assert_eq!(world.asked(), asked + 1);
}

#[test]
fn an_edit_asks_for_what_is_new_and_what_moved_keeps_its_own() {
    edited(Kind::Embedded);
}

#[test]
fn and_so_it_does_on_a_server() {
    edited(Kind::Qdrant);
}

#[test]
fn and_so_does_one_of_several_workers() {
    edited(Kind::Cluster);
}

#[test]
fn the_first_chunk_of_a_document_that_grows_is_situated() {
    let world = World::new(Kind::Embedded);
    world.rig.project.write("docs/a.txt", document(0, 1));
    world.rig.complete();
    assert_eq!(world.asked(), 0, "the only chunk of a document stands nowhere");
    world.rig.project.write("docs/a.txt", document(0, 2));
    world.rig.complete();
    assert_eq!(world.asked(), 2);
    world.expect_whole("grown", Some(SMALL));
}
