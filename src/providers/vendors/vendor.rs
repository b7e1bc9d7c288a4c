//! All that is known of a vendor without asking it.

use crate::providers::Price;
use crate::providers::chat::wire::ChatApi;
use crate::providers::decide::wire::DecisionApi;
use crate::providers::embed::wire::EmbedApi;
use crate::providers::rerank::wire::RerankApi;
use crate::providers::site::Site;

/// A vendor of models.
#[derive(Debug)]
pub(crate) struct Vendor {
    /// Its kind, as a pipeline file writes it; also the name of the provider that exists without being declared. Part of every
    /// cache key: never to be changed.
    pub(crate) name: &'static str,
    /// Its server.
    pub(crate) site: Site,
    /// Whether it runs on the user's own machine, unless its address is one of the vendor's own hosts: then it costs nothing.
    pub(in crate::providers) at_home: bool,
    /// Its models that embed.
    pub(in crate::providers) embed: Option<EmbedBackend>,
    /// Its models that answer.
    pub(in crate::providers) chat: Option<ChatApi>,
    /// Its models that rerank.
    pub(in crate::providers) rerank: Option<RerankBackend>,
    /// Its models that decide.
    pub(in crate::providers) decide: Option<DecisionApi>,
    /// Prices at the vendor itself, by the beginnings of models' names (see [`crate::providers::prices`]).
    pub(in crate::providers) prices: &'static [(&'static str, Price)],
    /// What a token costs that comes from its cache of prompts, and one that is written to it, as shares of the usual price, where they
    /// are the same for all its models.
    pub(in crate::providers) cache_shares: Option<(f64, f64)>,
}

/// The models that embed.
#[derive(Debug)]
pub(in crate::providers) enum EmbedBackend {
    /// An API.
    Api(EmbedApi),
    /// Models in process.
    InProcess,
}

/// The models that rerank.
#[derive(Debug)]
pub(in crate::providers) enum RerankBackend {
    /// An API.
    Api(RerankApi),
    /// Models in process.
    InProcess,
}

impl Vendor {
    /// A vendor at this site of which no models are known.
    pub(super) const fn new(name: &'static str, site: Site) -> Self {
        Self {
            name,
            site,
            at_home: false,
            embed: None,
            chat: None,
            rerank: None,
            decide: None,
            prices: &[],
            cache_shares: None,
        }
    }
}
