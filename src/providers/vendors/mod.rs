//! The vendors: a file each, which says all that is known of one without asking it, and the one `match` that finds it.
//!
//! To add a vendor: a file here, its line in [`Vendor::of`], and its word in [`ProviderKind`], which is what a pipeline file
//! writes. A vendor that speaks a format of its own brings that along, in a file of `embed`, `chat`, `rerank` or `decide`.

mod anthropic;
mod cohere;
mod gemini;
mod jina;
mod local;
mod mistral;
mod ollama;
mod openai;
mod typesafe;
mod vendor;
mod voyage;

pub(crate) use vendor::Vendor;
pub(super) use vendor::{EmbedBackend, RerankBackend};

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use super::address::{address, is_origin};
use super::{ProviderKind, ProviderPlan, RetryPlan};
use crate::limits::Limits;

/// A request may take so long, unless the plan says otherwise.
const TIMEOUT: Duration = Duration::from_mins(1);

impl Vendor {
    /// The vendor of a kind.
    pub(crate) fn of(kind: ProviderKind) -> &'static Self {
        match kind {
            ProviderKind::OpenAi => &openai::VENDOR,
            ProviderKind::Anthropic => &anthropic::VENDOR,
            ProviderKind::Gemini => &gemini::VENDOR,
            ProviderKind::Ollama => &ollama::VENDOR,
            ProviderKind::Cohere => &cohere::VENDOR,
            ProviderKind::Voyage => &voyage::VENDOR,
            ProviderKind::Jina => &jina::VENDOR,
            ProviderKind::Mistral => &mistral::VENDOR,
            ProviderKind::TypeSafe => &typesafe::VENDOR,
            ProviderKind::Local => &local::VENDOR,
        }
    }
}

impl ProviderKind {
    /// The kind as a pipeline file writes it.
    pub fn name(self) -> &'static str {
        Vendor::of(self).name
    }

    /// The kind of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// Whether it has models that embed, as far as ragstream speaks its API.
    pub fn can_embed(self) -> bool {
        Vendor::of(self).embed.is_some()
    }

    /// Whether it has models that answer, as far as ragstream speaks its API.
    pub fn can_chat(self) -> bool {
        Vendor::of(self).chat.is_some()
    }

    /// Whether it has models that rerank, as far as ragstream speaks its API. Those that decide do.
    pub fn can_rerank(self) -> bool {
        Vendor::of(self).rerank.is_some() || self.can_decide()
    }

    /// Whether it has models that decide, as far as ragstream speaks its API.
    pub fn can_decide(self) -> bool {
        Vendor::of(self).decide.is_some()
    }

    /// Inputs and tokens of one embedding request above which the vendor's own server refuses, where it says so.
    pub(crate) fn max_batch(self) -> (Option<usize>, Option<usize>) {
        match &Vendor::of(self).embed {
            Some(EmbedBackend::Api(api)) => api.refused_above,
            Some(EmbedBackend::InProcess) | None => (None, None),
        }
    }

    /// The highest temperature that its models take, where it is less than most vendors'.
    pub(crate) fn max_temperature(self) -> Option<f32> {
        Vendor::of(self).chat.as_ref()?.max_temperature
    }
}

impl ProviderPlan {
    /// A connection to the vendor itself, under the kind's own name, without a key and with nothing declared.
    ///
    /// # Panics
    /// Never: a test reads every vendor's address.
    #[expect(clippy::expect_used, reason = "a constant, which a test reads")]
    pub fn new(kind: ProviderKind) -> Self {
        let vendor = Vendor::of(kind);
        Self {
            name: vendor.name.to_owned(),
            kind,
            base_url: Url::parse(vendor.site.url).expect("a vendor's address is a URL"),
            api_key: None,
            key_variable: vendor.site.key_variables.first().copied(),
            limits: Limits::default(),
            timeout: TIMEOUT,
            retry: RetryPlan::default(),
            identity: None,
            prices: BTreeMap::new(),
            misled: None,
        }
    }

    /// Whether it is the vendor's own server, and not a compatible one.
    pub(crate) fn is_vendors_own(&self) -> bool {
        is_origin(Vendor::of(self.kind).site.url, &self.base_url)
    }

    /// The name of its server, which tells its models from others of the same name in an index and in the cache: none at the
    /// vendor's own address, so that what was made there stays valid; else the address, since a name there means whatever its
    /// owner loaded.
    ///
    /// The scheme is none of it, and this machine has one name. A proxy in front of a vendor cannot be told from a server with
    /// other weights, and mixing two models' vectors ruins an index silently, while keeping them apart costs money at most: so
    /// the one who knows says so (`identity`).
    pub(crate) fn identity(&self) -> Option<String> {
        let vendor = Url::parse(Vendor::of(self.kind).site.url).ok();
        let known = self.identity.clone().unwrap_or_else(|| address(&self.base_url));
        let own = self.identity.is_none() && self.is_vendors_own();
        (!own && vendor.is_none_or(|vendor| address(&vendor) != known)).then_some(known)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

    use super::*;

    #[test]
    fn every_kind_is_listed_under_the_word_that_a_file_writes() {
        let schema = schemars::schema_for!(ProviderKind).to_value();
        let words = schema.to_string();
        let count = words.matches("\"const\"").count();
        assert_eq!(count, ProviderKind::ALL.len(), "{words}");
        for &kind in ProviderKind::ALL {
            let read: ProviderKind = serde_json::from_value(kind.name().into()).unwrap();
            assert_eq!((read, ProviderKind::named(kind.name())), (kind, Some(kind)));
            assert!(kind.can_embed() || kind.can_chat() || kind.can_rerank() || kind.can_decide());
            Url::parse(Vendor::of(kind).site.url).unwrap();
        }
    }
}
