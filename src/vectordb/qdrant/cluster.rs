//! A cluster: how a collection is spread over its nodes, in which order writes are applied, which copies are read, and what an
//! outage of a part of it looks like.
//!
//! What is known of servers (1.19, from their sources and from three of them side by side):
//!
//! - A write that waits is acknowledged when each copy has it, or is known by the whole cluster to be dead. So one copy that is not
//!   dead is enough to read from, but for a node that is cut off and does not know of it.
//! - An order is kept by sending writes through one copy of the shard. `Strong` takes the one on the node with the highest id, there
//!   or not: while that node is away its shards take no writes. `Medium` takes the highest that is alive.
//! - `Majority` reads from all copies, and fails where one is away. `Quorum` reads from more than half: of two, from both.
//! - What a part of the cluster cannot do is an internal error of the node that was asked: only its words tell it from a fault.

use qdrant_client::qdrant::{
    CollectionParams, ReadConsistency, ReadConsistencyType, UpdateResult, UpdateStatus, WriteOrdering, WriteOrderingType,
    read_consistency,
};

use crate::vectordb::{Ordering, Spread};

/// Copies from which on more than half of them can be read while one is away.
const QUORUM: u32 = 3;

pub(super) fn ordering(ordering: Ordering) -> WriteOrdering {
    let kind = match ordering {
        Ordering::Strong => WriteOrderingType::Strong,
        Ordering::Medium => WriteOrderingType::Medium,
    };
    WriteOrdering { r#type: kind.into() }
}

/// How points are read by which it is decided what is written or removed: so that a node that is cut off cannot tell of a state that
/// has passed. Where there are two copies that would be both of them, and nothing could be decided while one is away.
pub(super) fn decisive(copies: u32) -> Option<ReadConsistency> {
    let quorum = ReadConsistency { value: Some(read_consistency::Value::Type(ReadConsistencyType::Quorum.into())) };
    (copies >= QUORUM).then_some(quorum)
}

/// How many copies there are of each shard.
pub(super) fn copies(params: Option<&CollectionParams>) -> u32 {
    params.and_then(|params| params.replication_factor).unwrap_or(1)
}

/// Whether a write is where it was to be. `wait` is not always kept to: a server may stop waiting, and says so.
pub(super) fn applied(results: &[UpdateResult]) -> Result<(), String> {
    match results.iter().map(UpdateResult::status).find(|status| *status != UpdateStatus::Completed) {
        None => Ok(()),
        Some(UpdateStatus::WaitTimeout) => Err("it has the write and did not carry it out in time".into()),
        Some(UpdateStatus::ClockRejected) => Err("a copy has seen later writes and did not carry this one out".into()),
        Some(_) => Err("it has the write and did not say that it was carried out".into()),
    }
}

/// What of a collection is not as it was declared.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Differs {
    /// `replication_factor: 1, shard_number: 3`
    pub(super) found: String,
    pub(super) wanted: String,
    /// What to do.
    pub(super) hint: String,
}

impl Differs {
    pub(super) fn of(wanted: &Spread, params: Option<&CollectionParams>, collection: &str) -> Option<Self> {
        let Spread { shard_number, replication_factor, write_consistency_factor, ordering: _ } = *wanted;
        let found = |value: fn(&CollectionParams) -> Option<u32>| params.and_then(value).unwrap_or(1);
        let all = [
            ("shard_number", shard_number, found(|params| Some(params.shard_number))),
            ("replication_factor", replication_factor, found(|params| params.replication_factor)),
            ("write_consistency_factor", write_consistency_factor, found(|params| params.write_consistency_factor)),
        ];
        let differ: Vec<_> = all.iter().filter_map(|(key, wanted, found)| Some((*key, (*wanted)?, *found))).collect();
        let differ: Vec<_> = differ.into_iter().filter(|(_, wanted, found)| wanted != found).collect();
        let told = |value: fn(&(&str, u32, u32)) -> u32| {
            differ.iter().map(|one| format!("{}: {}", one.0, value(one))).collect::<Vec<_>>().join(", ")
        };
        let (wanted, found) = (told(|(_, wanted, _)| *wanted), told(|(_, _, found)| *found));
        let shards = differ.iter().any(|(key, ..)| *key == "shard_number");
        let factors: Vec<_> = differ.iter().filter(|(key, ..)| *key != "shard_number").collect();
        let mut ways = Vec::new();
        if !shards {
            let factors: Vec<_> = factors.iter().map(|(key, wanted, _)| format!("\"{key}\": {wanted}")).collect();
            let factors = factors.join(", ");
            ways.push(format!("tell the server: PATCH /collections/{collection} {{\"params\": {{{factors}}}}}"));
            if differ.iter().any(|(key, ..)| *key == "replication_factor") {
                ways.push("have it copy the shards that are there (`replicate_shard`)".into());
            }
        }
        ways.push(format!("say `{found}` in the pipeline"));
        ways.push("run `ingest --rebuild` to make the index anew".into());
        (!differ.is_empty()).then(|| Self { found, wanted, hint: ways.join("; or ") })
    }
}

/// Whether an internal error is of a part of the cluster that is away, and not a fault of what is there.
pub(super) fn is_outage(said: &str) -> bool {
    const WORDS: [&str; 15] = [
        "ordering via leader peer",
        "no leader could be selected",
        "has no active replica",
        "have active replicas",
        "not have enough active replicas",
        "read operations failed",
        "consistency of this update is not guaranteed",
        "all attempts were rejected",
        "leader is not established",
        "waiting for consensus operation commit failed",
        "failed to wait for consensus",
        "tonic status error",
        "transport error",
        "can't reach one of the workers",
        "was removed from the replica set",
    ];
    let said = said.to_ascii_lowercase();
    WORDS.iter().any(|words| said.contains(words))
}

/// Whether it is a server that says so, of a part of its cluster that is away or not there yet: a collection that somebody is making
/// cannot be asked about for seconds ("0 of 0 read operations failed"), though it exists.
pub(in crate::vectordb) fn is_of_a_part(said: &str) -> bool {
    said.starts_with("Service internal error") && is_outage(said)
}

/// What to do about an outage that these words tell of.
pub(in crate::vectordb) fn hint(said: &str) -> Option<&'static str> {
    said.contains("Strong ordering via leader peer").then_some(
        "a node of the cluster is away, and writes of its shards go through it: bring it back, or move its shards away and \
         remove it; with `ordering: medium` in `store.qdrant` another copy takes over",
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::*;

    fn params(shards: u32, copies: Option<u32>, written: Option<u32>) -> CollectionParams {
        CollectionParams {
            shard_number: shards,
            replication_factor: copies,
            write_consistency_factor: written,
            ..CollectionParams::default()
        }
    }

    #[test]
    fn what_was_not_declared_may_be_anything() {
        let there = params(7, Some(3), Some(2));
        assert_eq!(Differs::of(&Spread::default(), Some(&there), "docs"), None);
        let declared = Spread { shard_number: Some(7), replication_factor: Some(3), ..Spread::default() };
        assert_eq!(Differs::of(&declared, Some(&there), "docs"), None);
    }

    #[test]
    fn all_that_differs_is_told_with_what_can_be_done() {
        let declared = Spread {
            replication_factor: Some(2),
            write_consistency_factor: Some(2),
            shard_number: Some(3),
            ..Spread::default()
        };
        let differs = Differs::of(&declared, Some(&params(3, Some(1), None)), "手册").unwrap();
        assert_eq!(differs.wanted, "replication_factor: 2, write_consistency_factor: 2");
        assert_eq!(differs.found, "replication_factor: 1, write_consistency_factor: 1");
        assert!(
            differs.hint.starts_with(
                "tell the server: PATCH /collections/手册 {\"params\": {\"replication_factor\": 2, \"write_consistency_factor\": 2}}"
            ),
            "{}",
            differs.hint
        );
        let differs = Differs::of(&declared, Some(&params(6, Some(2), Some(2))), "docs").unwrap();
        assert_eq!((differs.found.as_str(), differs.wanted.as_str()), ("shard_number: 6", "shard_number: 3"));
        assert!(
            !differs.hint.contains("PATCH") && differs.hint.contains("--rebuild"),
            "no server changes the number: {}",
            differs.hint
        );
    }

    #[test]
    fn an_outage_is_told_from_a_fault() {
        for said in [
            "Service internal error: Failed to apply update with Strong ordering via leader peer 17: Tonic status error: status: Unavailable",
            "Service internal error: The replica set for shard 0 on peer 3 has no active replica",
            "Service internal error: The replica set for shard 2 on peer 3 does not have enough active replicas",
            "Service internal error: 1 of 1 read operations failed:\n  Tonic transport error: transport error",
            "Service internal error: Waiting for consensus operation commit failed. Timeout set at: 10 seconds",
        ] {
            assert!(is_outage(said), "{said}");
        }
        for said in ["Service internal error: out of disk", "Service internal error: No space left on device: WAL", "panicked"]
        {
            assert!(!is_outage(said), "{said}");
        }
    }

    #[test]
    fn what_was_only_received_is_not_written() {
        let result = |status: UpdateStatus| UpdateResult { status: status.into(), ..UpdateResult::default() };
        assert_eq!(applied(&[]), Ok(()));
        assert_eq!(applied(&[result(UpdateStatus::Completed), result(UpdateStatus::Completed)]), Ok(()));
        for other in [UpdateStatus::Acknowledged, UpdateStatus::WaitTimeout, UpdateStatus::ClockRejected] {
            applied(&[result(UpdateStatus::Completed), result(other)]).unwrap_err();
        }
    }

    #[test]
    fn a_quorum_is_asked_for_where_one_copy_may_be_away() {
        assert_eq!([1, 2, 3, 5].map(|copies| decisive(copies).is_some()), [false, false, true, true]);
    }
}
