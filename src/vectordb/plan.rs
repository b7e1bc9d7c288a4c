//! What a pipeline says of the store.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::cache::SharedCache;
use crate::providers::Secret;

/// Where the vectors go.
#[derive(Debug, Clone)]
pub enum StorePlan {
    /// The embedded store. `None`: a folder of the pipeline's name below the home folder.
    Embedded {
        /// The folder, absolute.
        path: Option<PathBuf>,
    },
    /// A Qdrant server or cluster, by its gRPC address.
    Qdrant {
        /// Its gRPC URL.
        url: Url,
        /// Its key.
        api_key: Option<Secret>,
        /// The collection.
        collection: String,
        /// How long one call may take.
        timeout: Duration,
        /// How the collection is spread over a cluster.
        spread: Spread,
    },
}

impl StorePlan {
    /// Where machines that write to this store can share what they paid for; `None` where they cannot reach it.
    pub fn shared_cache(&self) -> Option<SharedCache> {
        match self {
            Self::Embedded { .. } => None,
            Self::Qdrant { url, api_key, .. } => Some(SharedCache::new(url.clone(), api_key.clone())),
        }
    }
}

/// How a Qdrant cluster spreads a collection over its nodes, and in which order it writes. The names are Qdrant's own. `None`: as the
/// server has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spread {
    /// Parts of the collection.
    pub shard_number: Option<u32>,
    /// Copies of each part, each on another node.
    pub replication_factor: Option<u32>,
    /// Copies that must have a write before it counts.
    pub write_consistency_factor: Option<u32>,
    /// In which order writes are applied.
    pub ordering: Ordering,
}

/// In which order a cluster applies the writes of several who write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(title = "ordering")]
pub enum Ordering {
    /// In one order on all copies. A shard takes no writes while the node is away that leads it: they wait for it.
    #[default]
    Strong,
    /// In one order while the nodes stay. Another copy takes over from one that is away, and the two may differ then for moments.
    Medium,
}
