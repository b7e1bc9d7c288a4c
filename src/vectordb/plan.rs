//! What a pipeline says of the store.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

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
    },
}
