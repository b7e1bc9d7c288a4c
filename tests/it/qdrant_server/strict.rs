//! Strict mode: what a collection does not allow because it would be dear. Off where a collection does not say otherwise.

use ::qdrant_client::qdrant::StrictModeConfig;
use tonic::Status;
use uuid::Uuid;

use super::convert::odd;
use super::model::{Condition, Filter, Kind, Points, Refusal, Test};

/// The limits of one collection. Those that this server does not keep cannot be set.
#[derive(Debug, Clone, Default)]
pub(super) struct Strict(StrictModeConfig);

/// Whether a filter selects what is read or what is changed.
#[derive(Clone, Copy)]
pub(super) enum Use {
    Read,
    Write,
}

fn refused<T>(words: &str, help: &str) -> Result<T, Status> {
    Err(Refusal::Strict(format!("{words}. Help: {help}")).into())
}

impl Strict {
    /// The limits with what is said of them anew.
    pub(super) fn with(&self, said: &StrictModeConfig) -> Result<Self, Status> {
        let old = &self.0;
        let known = StrictModeConfig {
            enabled: said.enabled.or(old.enabled),
            max_query_limit: said.max_query_limit.or(old.max_query_limit),
            upsert_max_batchsize: said.upsert_max_batchsize.or(old.upsert_max_batchsize),
            unindexed_filtering_retrieve: said.unindexed_filtering_retrieve.or(old.unindexed_filtering_retrieve),
            unindexed_filtering_update: said.unindexed_filtering_update.or(old.unindexed_filtering_update),
            filter_max_conditions: said.filter_max_conditions.or(old.filter_max_conditions),
            condition_max_size: said.condition_max_size.or(old.condition_max_size),
            max_points_count: said.max_points_count.or(old.max_points_count),
            ..StrictModeConfig::default()
        };
        let unknown = StrictModeConfig {
            enabled: None,
            max_query_limit: None,
            upsert_max_batchsize: None,
            unindexed_filtering_retrieve: None,
            unindexed_filtering_update: None,
            filter_max_conditions: None,
            condition_max_size: None,
            max_points_count: None,
            ..said.clone()
        };
        if unknown == StrictModeConfig::default() { Ok(Self(known)) } else { Err(odd("this limit of strict mode")) }
    }

    /// What a collection says of itself; `None` where strict mode was never spoken of.
    pub(super) fn said(&self) -> Option<StrictModeConfig> {
        (self.0 != StrictModeConfig::default()).then(|| self.0.clone())
    }

    fn limits(&self) -> StrictModeConfig {
        if self.0.enabled == Some(true) { self.0.clone() } else { StrictModeConfig::default() }
    }

    /// Before points are written.
    pub(super) fn check_upsert(&self, count: usize, points: &Points) -> Result<(), Status> {
        let limits = self.limits();
        check_limit(count, limits.upsert_max_batchsize, "upsert limit")?;
        match limits.max_points_count {
            Some(most) if points.len() as u64 >= most => {
                Err(Refusal::Strict(format!("Max points count limit of {most} reached!")).into())
            }
            _ => Ok(()),
        }
    }

    /// Before as many as `limit` are answered with.
    pub(super) fn check_limit(&self, limit: usize) -> Result<(), Status> {
        check_limit(limit, self.limits().max_query_limit.map(Into::into), "limit")
    }

    /// Before a filter is used.
    pub(super) fn check_filter(&self, filter: Option<&Filter>, purpose: Use, points: &Points) -> Result<(), Status> {
        let (Some(filter), limits) = (filter, self.limits()) else { return Ok(()) };
        let conditions = filter.conditions();
        let indexed_only = match purpose {
            Use::Read => limits.unindexed_filtering_retrieve == Some(false),
            Use::Write => limits.unindexed_filtering_update == Some(false),
        };
        if indexed_only && let Some((key, kinds)) = conditions.iter().find_map(|condition| unindexed(condition, points)) {
            return refused(
                &format!("Index required but not found for \"{key}\" of one of the following types: [{kinds}]"),
                "Create an index for this key or use a different filter.",
            );
        }
        if let Some(most) = limits.filter_max_conditions
            && conditions.len() as u64 > most
        {
            return refused(
                &format!("Filter condition limit reached ({} > {most})", conditions.len()),
                "Reduce the amount of conditions of your filter.",
            );
        }
        let size = conditions.into_iter().map(size).max().unwrap_or_default() as u64;
        if let Some(most) = limits.condition_max_size
            && size > most
        {
            return refused(&format!("Condition size limit reached ({size} > {most})"), "Reduce the size of your condition.");
        }
        Ok(())
    }
}

fn check_limit(value: usize, limit: Option<u64>, name: &str) -> Result<(), Status> {
    match limit {
        Some(limit) if value as u64 > limit => refused(
            &format!("Limit exceeded {value} > {limit} for \"{name}\""),
            &format!("Reduce the \"{name}\" parameter to or below {limit}."),
        ),
        _ => Ok(()),
    }
}

/// The key of a condition that no index serves, and the kinds of index that would.
fn unindexed(condition: &Condition, points: &Points) -> Option<(String, &'static str)> {
    let Condition::Field(path, test) = condition else { return None };
    let uuid = |text: &String| Uuid::parse_str(text).is_ok();
    let (kind, kinds) = match test {
        Test::Keywords(keywords) if keywords.is_empty() => return None,
        Test::Keyword(keyword) if uuid(keyword) => (Some(Kind::Keyword), "keyword, uuid"),
        Test::Keywords(keywords) if keywords.iter().all(uuid) => (Some(Kind::Keyword), "keyword, uuid"),
        Test::Keyword(_) | Test::Keywords(_) => (Some(Kind::Keyword), "keyword"),
        Test::Integer(_) => (Some(Kind::Integer), "integer"),
        Test::Range(_) => (Some(Kind::Integer), "float, integer"),
        Test::Boolean(_) => (None, "bool"),
    };
    let served = kind.is_some() && points.indexed.get(path).copied() == kind;
    (!served).then(|| (path.to_string(), kinds))
}

/// How much a condition holds.
fn size(condition: &Condition) -> usize {
    match condition {
        Condition::HasId(ids) => ids.len(),
        Condition::Field(_, Test::Keywords(keywords)) => keywords.len(),
        Condition::Field(..) | Condition::Filter(_) => 0,
    }
}
