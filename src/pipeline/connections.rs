//! Providers: those that exist without being declared, and what a file says of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use url::{Host, Url};

use super::address::{address, bare_address, is_origin, ollama_host, server_url};
use super::meaning::{File, Problem};
use super::spec::ProviderSpec;
use crate::limits::Limits;
use crate::providers::{ProviderKind, ProviderPlan, RetryPlan, Secret};

/// How long a request may take, unless the file says so.
const TIMEOUT: Duration = Duration::from_mins(1);

/// What is known of a vendor without asking.
struct Vendor {
    kind: ProviderKind,
    url: &'static str,
    /// Variables that may hold the key; the first that is set counts.
    keys: &'static [&'static str],
    /// The variable that may hold another address.
    url_variable: Option<&'static str>,
}

const VENDORS: [Vendor; 8] = [
    Vendor {
        kind: ProviderKind::OpenAi,
        url: "https://api.openai.com/v1",
        keys: &["OPENAI_API_KEY"],
        url_variable: Some("OPENAI_BASE_URL"),
    },
    Vendor {
        kind: ProviderKind::Anthropic,
        url: "https://api.anthropic.com",
        keys: &["ANTHROPIC_API_KEY"],
        url_variable: Some("ANTHROPIC_BASE_URL"),
    },
    Vendor {
        kind: ProviderKind::Gemini,
        url: "https://generativelanguage.googleapis.com/v1beta",
        keys: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        url_variable: None,
    },
    Vendor { kind: ProviderKind::Ollama, url: "http://localhost:11434", keys: &[], url_variable: Some("OLLAMA_HOST") },
    Vendor {
        kind: ProviderKind::Cohere,
        url: "https://api.cohere.com",
        keys: &["COHERE_API_KEY", "CO_API_KEY"],
        url_variable: None,
    },
    Vendor { kind: ProviderKind::Voyage, url: "https://api.voyageai.com/v1", keys: &["VOYAGE_API_KEY"], url_variable: None },
    Vendor { kind: ProviderKind::Jina, url: "https://api.jina.ai/v1", keys: &["JINA_API_KEY"], url_variable: None },
    Vendor { kind: ProviderKind::Local, url: "local:", keys: &[], url_variable: None },
];

impl ProviderKind {
    /// As the file writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
            Self::Cohere => "cohere",
            Self::Voyage => "voyage",
            Self::Jina => "jina",
            Self::Local => "local",
        }
    }

    /// Whether it has models that embed.
    pub fn can_embed(self) -> bool {
        self != Self::Anthropic
    }

    /// Whether it has models that answer, as far as ragstream speaks its API.
    pub fn can_answer(self) -> bool {
        matches!(self, Self::OpenAi | Self::Anthropic | Self::Gemini | Self::Ollama)
    }

    /// Whether it has models that rerank.
    pub fn can_rerank(self) -> bool {
        matches!(self, Self::Cohere | Self::Voyage | Self::Jina)
    }

    /// Texts and tokens that the vendor's own server takes in one embedding request, where it says so.
    /// `OpenAI`: embeddings reference; Gemini: `batchEmbedContents`; Cohere: `/v2/embed`; Voyage: `/v1/embeddings`.
    pub(super) fn max_batch(self) -> (Option<usize>, Option<usize>) {
        match self {
            Self::OpenAi => (Some(2048), Some(300_000)),
            Self::Gemini => (Some(100), None),
            Self::Cohere => (Some(96), None),
            Self::Voyage => (Some(1000), None),
            Self::Anthropic | Self::Ollama | Self::Jina | Self::Local => (None, None),
        }
    }
}

impl ProviderPlan {
    /// Whether it is the vendor's own server, and not a compatible one.
    pub(crate) fn is_vendors_own(&self) -> bool {
        Vendor::of(self.kind).is_some_and(|vendor| is_origin(vendor.url, &self.base_url))
    }
}

impl ProviderPlan {
    /// What tells its models from others of the same name, in an index and in the cache: nothing at the vendor's own address, so
    /// that what was made there stays valid; else the address, since a name there means whatever its owner loaded.
    ///
    /// The scheme is none of it, and this machine has one name. A proxy in front of a vendor cannot be told from a server with
    /// other weights, and mixing two models' vectors ruins an index silently, while keeping them apart costs money at most: so
    /// the one who knows says so (`identity`).
    pub(crate) fn identity(&self) -> Option<String> {
        let vendor = Vendor::of(self.kind).and_then(|vendor| Url::parse(vendor.url).ok());
        let known = self.identity.clone().unwrap_or_else(|| address(&self.base_url));
        let own = self.identity.is_none() && self.is_vendors_own();
        (!own && vendor.is_none_or(|vendor| address(&vendor) != known)).then_some(known)
    }
}

impl Vendor {
    fn of(kind: ProviderKind) -> Option<&'static Self> {
        VENDORS.iter().find(|vendor| vendor.kind == kind)
    }

    fn named(name: &str) -> Option<&'static Self> {
        VENDORS.iter().find(|vendor| vendor.kind.name() == name)
    }

    /// The address its variable gives, else its own; and what is wrong with the variable.
    fn address(&self, env: &dyn Fn(&str) -> Option<String>) -> (Option<Url>, Option<Problem>) {
        let own = Url::parse(self.url).ok();
        let set = self.url_variable.and_then(|variable| Some((variable, env(variable).filter(|v| !v.trim().is_empty())?)));
        let Some((variable, text)) = set else { return (own, None) };
        let read = if self.kind == ProviderKind::Ollama { ollama_host(&text) } else { server_url(&text) };
        match read {
            Ok(url) => (Some(url), None),
            Err(problem) => (own, Some(Problem::new(format!("the variable `{variable}` {}", problem.message)))),
        }
    }

    fn key(&self, env: &dyn Fn(&str) -> Option<String>) -> Option<Secret> {
        self.keys
            .iter()
            .find_map(|variable| env(variable).filter(|key| !key.trim().is_empty()))
            .map(|key| Secret::new(key.trim()))
    }
}

/// Every provider that a model may be named of.
#[derive(Default)]
pub(super) struct Connections {
    pub(super) usable: BTreeMap<String, ProviderPlan>,
    /// Those that stand in `usable` with an address that is not what a variable asked for.
    pub(super) misled: BTreeMap<String, Problem>,
    /// Declared in a way that has been reported; what refers to them needs no second error.
    pub(super) broken: BTreeSet<String>,
}

impl Connections {
    /// Those that exist without being declared.
    pub(super) fn implicit(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut all = Self::default();
        for vendor in &VENDORS {
            let name = vendor.kind.name().to_owned();
            let (url, problem) = vendor.address(env);
            if let Some(problem) = problem {
                all.misled.insert(name.clone(), problem);
            }
            if let Some(base_url) = url {
                let plan = ProviderPlan {
                    name: name.clone(),
                    kind: vendor.kind,
                    base_url,
                    api_key: vendor.key(env),
                    key_variable: vendor.keys.first().copied(),
                    limits: Limits::default(),
                    timeout: TIMEOUT,
                    retry: RetryPlan::default(),
                    identity: None,
                    prices: BTreeMap::new(),
                };
                all.usable.insert(name, plan);
            }
        }
        all
    }

    /// Adds what the file declares.
    pub(super) fn declare(&mut self, file: &mut File<'_>, name: &str, spec: &ProviderSpec) {
        let path = ["providers", name];
        if let Err(problem) = check_name(name) {
            file.key_error(&path, problem);
        }
        let same = Vendor::named(name);
        let kind = spec.kind.or_else(|| same.map(|vendor| vendor.kind));
        let Some((kind, vendor)) = kind.and_then(|kind| Some((kind, Vendor::of(kind)?))) else {
            if !file.tainted(&path) {
                let kinds: Vec<_> = VENDORS.iter().map(|vendor| vendor.kind.name()).collect();
                let problem = Problem::new(format!("`kind` is missing: `{name}` says not which API it speaks"));
                file.key_error(&path, problem.hint(format!("one of: {}", kinds.join(", "))));
            }
            self.broken.insert(name.to_owned());
            return;
        };
        // A declared provider takes the place of the one that exists without, variables included.
        let implicit = same.is_some_and(|same| same.kind == kind);
        let Some(base_url) = self.base_url(file, name, spec, vendor, implicit) else {
            self.broken.insert(name.to_owned());
            return;
        };
        let usual = implicit && is_own(vendor, &base_url, file.env);
        let api_key = match &spec.api_key {
            Some(key) => (!key.trim().is_empty()).then(|| Secret::new(key.trim())),
            None if usual => vendor.key(file.env),
            None => None,
        };
        if api_key.is_some() {
            warn_of_key(file, &["providers", name, "api_key"], &base_url);
        }
        let retry = spec.retry.as_ref();
        let usual_retry = RetryPlan::default();
        let plan = ProviderPlan {
            name: name.to_owned(),
            kind,
            base_url,
            api_key,
            key_variable: usual.then(|| vendor.keys.first().copied()).flatten(),
            limits: spec.limits.unwrap_or_default(),
            timeout: spec.timeout.map_or(TIMEOUT, |timeout| timeout.0),
            retry: RetryPlan {
                attempts: retry.and_then(|retry| retry.attempts).unwrap_or(usual_retry.attempts),
                budget: retry.and_then(|retry| retry.budget).map_or(usual_retry.budget, |budget| budget.0),
            },
            identity: spec.identity.as_deref().map(bare_address),
            prices: spec.prices.iter().flatten().map(|(model, price)| (model.clone(), *price)).collect(),
        };
        self.usable.insert(name.to_owned(), plan);
    }

    /// Where a declared provider is; `None` has been reported.
    fn base_url(
        &mut self,
        file: &mut File<'_>,
        name: &str,
        spec: &ProviderSpec,
        vendor: &Vendor,
        implicit: bool,
    ) -> Option<Url> {
        let path = ["providers", name, "base_url"];
        let Some(text) = spec.base_url.as_deref().filter(|text| !text.trim().is_empty()) else {
            // An address that was given and is wrong must not become the vendor's.
            if file.root.at(&path).is_some() && file.tainted(&["providers", name]) {
                return None;
            }
            return if implicit { vendor.address(file.env).0 } else { Url::parse(vendor.url).ok() };
        };
        self.misled.remove(name);
        if vendor.kind == ProviderKind::Local {
            file.warning(&path, Problem::new("`local` runs in process: `base_url` has no meaning").hint("remove it"));
            return Url::parse(vendor.url).ok();
        }
        match server_url(text) {
            Ok(url) => Some(url),
            Err(problem) => {
                let message = format!("`{}` {}", file.shown(&path, "base_url"), problem.message);
                file.error(&path, Problem { message, ..problem });
                None
            }
        }
    }
}

/// Whether the address is the vendor's, or the one that the vendor's variable names: only there the usual key may go.
fn is_own(vendor: &Vendor, url: &Url, env: &dyn Fn(&str) -> Option<String>) -> bool {
    let own = is_origin(vendor.url, url);
    let named = vendor.url_variable.is_some() && vendor.address(env).0.is_some_and(|named| named.origin() == url.origin());
    own || named || vendor.kind == ProviderKind::Local
}

/// Warns of a key that is written into the file, and of one that would travel unprotected.
pub(super) fn warn_of_key(file: &mut File<'_>, path: &[&str], url: &Url) {
    if file.root.at(path).is_some() && !file.has_variable(path) {
        let hint = "put it into a variable, and write `${NAME}` here: files are shared, copied and committed";
        file.warning(path, Problem::new("a key in plain sight").hint(hint));
    }
    let here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback() || ip.is_private(),
        Some(Host::Ipv6(ip)) => ip.is_loopback() || ip.is_unique_local(),
        None => true,
    };
    if url.scheme() == "http" && !here {
        file.warning(path, Problem::new("this key would be sent unencrypted").hint("use an address with https://"));
    }
}

/// Names become folders, collections and the first part of `provider/model`.
pub(super) fn check_name(name: &str) -> Result<(), Problem> {
    const HINT: &str = "letters, digits, `-`, `_` and `.`, beginning with a letter or digit";
    if name.contains(['/', '\\']) {
        return Err(Problem::new("a name cannot hold a path separator").hint(HINT));
    }
    let fits = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if !fits || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(Problem::new("not a name").hint(HINT));
    }
    if name.len() > 64 {
        return Err(Problem::new("a name of more than 64 characters"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may fail loudly")]

    use super::*;

    #[test]
    fn eight_exist_without_being_declared() {
        let all = Connections::implicit(&|_| None).usable;
        assert_eq!(
            all.keys().collect::<Vec<_>>(),
            ["anthropic", "cohere", "gemini", "jina", "local", "ollama", "openai", "voyage"]
        );
        assert_eq!(all["openai"].base_url.as_str(), "https://api.openai.com/v1");
        assert_eq!(all["openai"].key_variable, Some("OPENAI_API_KEY"));
        assert!(all.values().all(|provider| provider.api_key.is_none()));
    }

    #[test]
    fn only_the_vendors_own_address_goes_without_saying() {
        let identity = |kind: &str, url: &str, said: Option<&str>| {
            let plan = Connections::implicit(&|_| None).usable[kind].clone();
            ProviderPlan { base_url: url.parse().unwrap(), identity: said.map(bare_address), ..plan }.identity()
        };
        for (kind, url) in [
            ("openai", "https://api.openai.com/v1"),
            ("openai", "https://api.openai.com/v1/"),
            ("ollama", "http://localhost:11434"),
            ("ollama", "http://127.0.0.1:11434"),
            ("ollama", "http://[::1]:11434/"),
            ("local", "local:"),
        ] {
            assert_eq!(identity(kind, url, None), None, "{url}");
        }
        let other = |url| identity("openai", url, None).unwrap();
        assert_eq!(other("http://127.0.0.1:8080/v1/"), "localhost:8080/v1");
        assert_eq!(other("https://gpu.example/v1"), other("http://gpu.example/v1"), "the scheme is none of it");
        assert_ne!(other("http://localhost:8080/v1"), other("http://localhost:8081/v1"));
        assert_ne!(other("http://localhost:8080/a"), other("http://localhost:8080/b"));
        let proxy = |said| identity("openai", "http://litellm:4000/v1", Some(said));
        assert_eq!(proxy("https://api.openai.com/v1/"), None, "as the vendor's");
        assert_eq!(proxy("old:8080/v1").as_deref(), Some("old:8080/v1"));
        assert_eq!(identity("openai", "https://api.openai.com/v1", Some("mine")).as_deref(), Some("mine"));
    }

    #[test]
    fn the_usual_variables_are_read() {
        let env = |name: &str| match name {
            "OPENAI_API_KEY" => Some("k1".to_owned()),
            "OPENAI_BASE_URL" => Some("http://127.0.0.1:8080/v1/".to_owned()),
            "GOOGLE_API_KEY" => Some("k2".to_owned()),
            "ANTHROPIC_BASE_URL" => Some("nonsense".to_owned()),
            "COHERE_API_KEY" => Some(String::new()),
            _ => None,
        };
        let all = Connections::implicit(&env);
        assert_eq!(all.usable["openai"].base_url.as_str(), "http://127.0.0.1:8080/v1");
        assert_eq!(all.usable["openai"].api_key, Some(Secret::new("k1")));
        assert_eq!(all.usable["gemini"].api_key, Some(Secret::new("k2")));
        assert_eq!(all.usable["cohere"].api_key, None);
        assert!(all.misled["anthropic"].message.contains("`ANTHROPIC_BASE_URL` is not a URL"));
    }
}
