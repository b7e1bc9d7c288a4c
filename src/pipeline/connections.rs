//! Providers: those that exist without being declared, and what a file says of them.

use std::collections::{BTreeMap, BTreeSet};

use url::{Host, Url};

use super::address::{ollama_host, server_url};
use super::meaning::{File, Problem};
use super::name::check_name;
use super::spec::ProviderSpec;
use crate::providers::{ProviderKind, ProviderPlan, RetryPlan, Secret, UrlVariable, Vendor, bare_address};

/// The address that a vendor's variable gives, else its own; and what is wrong with the variable.
fn vendor_address(vendor: &Vendor, env: &dyn Fn(&str) -> Option<String>) -> (Option<Url>, Option<String>) {
    let own = Url::parse(vendor.site.url).ok();
    let Some(variable) = vendor.site.url_variable else { return (own, None) };
    let (UrlVariable::Url(name) | UrlVariable::Host(name)) = variable;
    let Some(text) = env(name).filter(|text| !text.trim().is_empty()) else { return (own, None) };
    let read = match variable {
        UrlVariable::Url(_) => server_url(&text),
        UrlVariable::Host(_) => ollama_host(&text),
    };
    match read {
        Ok(url) => (Some(url), None),
        Err(problem) => {
            let hint = problem.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            (own, Some(format!("the variable `{name}` {}{hint}", problem.message)))
        }
    }
}

/// The key that one of a vendor's variables holds.
fn vendor_key(vendor: &Vendor, env: &dyn Fn(&str) -> Option<String>) -> Option<Secret> {
    let set = vendor.site.key_variables.iter().find_map(|variable| env(variable).filter(|key| !key.trim().is_empty()));
    set.map(|key| Secret::new(key.trim()))
}

/// Every provider that a model may be named of.
#[derive(Default)]
pub(super) struct Connections {
    pub(super) usable: BTreeMap<String, ProviderPlan>,
    /// Declared in a way that has been reported; what refers to them needs no second error.
    pub(super) broken: BTreeSet<String>,
}

impl Connections {
    /// Those that exist without being declared.
    pub(super) fn implicit(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut all = Self::default();
        for &kind in ProviderKind::ALL {
            let vendor = Vendor::of(kind);
            let name = vendor.name.to_owned();
            let (url, misled) = vendor_address(vendor, env);
            if let Some(base_url) = url {
                let plan = ProviderPlan { base_url, api_key: vendor_key(vendor, env), misled, ..ProviderPlan::new(kind) };
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
        let same = ProviderKind::named(name);
        let Some(kind) = spec.kind.or(same) else {
            if !file.tainted(&path) {
                let kinds: Vec<_> = ProviderKind::ALL.iter().map(|kind| kind.name()).collect();
                let problem = Problem::new(format!("`kind` is missing: `{name}` says not which API it speaks"));
                file.key_error(&path, problem.hint(format!("one of: {}", kinds.join(", "))));
            }
            self.broken.insert(name.to_owned());
            return;
        };
        // A declared provider takes the place of the one that exists without, variables included.
        let implicit = same == Some(kind);
        let vendor = Vendor::of(kind);
        let Some(base_url) = Self::base_url(file, name, spec, kind, implicit) else {
            self.broken.insert(name.to_owned());
            return;
        };
        let usual = implicit && is_own(kind, &base_url, file.env);
        let api_key = match &spec.api_key {
            Some(key) => (!key.trim().is_empty()).then(|| Secret::new(key.trim())),
            None if usual => vendor_key(vendor, file.env),
            None => None,
        };
        if api_key.is_some() {
            warn_of_key(file, &["providers", name, "api_key"], &base_url);
        }
        let usual_plan = ProviderPlan::new(kind);
        let retry = spec.retry.as_ref();
        let plan = ProviderPlan {
            name: name.to_owned(),
            base_url,
            api_key,
            key_variable: usual_plan.key_variable.filter(|_| usual),
            limits: spec.limits.unwrap_or_default(),
            timeout: spec.timeout.map_or(usual_plan.timeout, |timeout| timeout.0),
            retry: RetryPlan {
                attempts: retry.and_then(|retry| retry.attempts).unwrap_or(usual_plan.retry.attempts),
                budget: retry.and_then(|retry| retry.budget).map_or(usual_plan.retry.budget, |budget| budget.0),
            },
            identity: spec.identity.as_deref().map(bare_address),
            prices: spec.prices.iter().flatten().map(|(model, price)| (model.clone(), *price)).collect(),
            misled: if implicit && !is_given(spec) { vendor_address(vendor, file.env).1 } else { None },
            ..usual_plan
        };
        self.usable.insert(name.to_owned(), plan);
    }

    /// Where a declared provider is; `None` has been reported.
    fn base_url(file: &mut File<'_>, name: &str, spec: &ProviderSpec, kind: ProviderKind, implicit: bool) -> Option<Url> {
        let path = ["providers", name, "base_url"];
        let vendor = Vendor::of(kind);
        let Some(text) = spec.base_url.as_deref().filter(|_| is_given(spec)) else {
            // An address that was given and is wrong must not become the vendor's.
            if file.root.at(&path).is_some() && file.tainted(&["providers", name]) {
                return None;
            }
            return if implicit { vendor_address(vendor, file.env).0 } else { Url::parse(vendor.site.url).ok() };
        };
        if kind == ProviderKind::Local {
            file.warning(&path, Problem::new("`local` runs in process: `base_url` has no meaning").hint("remove it"));
            return Url::parse(vendor.site.url).ok();
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

/// Whether the file says where the provider is.
fn is_given(spec: &ProviderSpec) -> bool {
    spec.base_url.as_deref().is_some_and(|text| !text.trim().is_empty())
}

/// Whether the address is the vendor's, or the one that the vendor's variable names: only there the usual key may go.
fn is_own(kind: ProviderKind, url: &Url, env: &dyn Fn(&str) -> Option<String>) -> bool {
    let vendor = Vendor::of(kind);
    let own = Url::parse(vendor.site.url).is_ok_and(|own| own.origin() == url.origin());
    let variable = vendor.site.url_variable.is_some();
    let named = variable && vendor_address(vendor, env).0.is_some_and(|named| named.origin() == url.origin());
    own || named || kind == ProviderKind::Local
}

/// Warns of a secret that is written into the file.
pub(super) fn warn_of_plain_sight(file: &mut File<'_>, path: &[&str], what: &str) {
    if file.root.at(path).is_some() && !file.has_variable(path) {
        let hint = "put it into a variable, and write `${NAME}` here: files are shared, copied and committed";
        file.warning(path, Problem::new(format!("{what} in plain sight")).hint(hint));
    }
}

/// Warns of a key that is written into the file, and of one that would travel unprotected.
pub(super) fn warn_of_key(file: &mut File<'_>, path: &[&str], url: &Url) {
    warn_of_plain_sight(file, path, "a key");
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may fail loudly")]

    use super::*;

    #[test]
    fn one_of_each_kind_exists_without_being_declared() {
        let all = Connections::implicit(&|_| None).usable;
        assert!(all.len() == ProviderKind::ALL.len() && all.iter().all(|(name, plan)| plan.kind.name() == name));
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
        let misled = |name: &str| all.usable[name].misled.as_deref();
        assert!(misled("anthropic").is_some_and(|misled| misled.contains("`ANTHROPIC_BASE_URL` is not a URL")));
        assert_eq!(misled("openai"), None);
    }
}
