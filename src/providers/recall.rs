//! The embedding model that an index was made with, found again by the fingerprint in the index, where the pipeline names another by now.

use std::sync::Arc;

use super::{
    EmbedPlan, Embedder, ErrorKind, Fingerprint, ModelRef, Prefixes, ProviderError, ProviderKind, ProviderPlan, Providers,
    local,
};

/// What a fingerprint of a model behind an API says.
#[derive(Debug, PartialEq, Eq)]
struct Read<'a> {
    kind: &'a str,
    /// The model's name at the provider, which may hold a `/`.
    model: &'a str,
    dimensions: Option<usize>,
}

impl Read<'_> {
    /// `None`: it is none of those that our providers write.
    fn of(fingerprint: &Fingerprint) -> Option<Read<'_>> {
        let (kind, rest) = fingerprint.model().split_once('/')?;
        let rest = match rest.rsplit_once('/') {
            Some((rest, last)) if last.starts_with("prefix-") => rest,
            _ => rest,
        };
        let (model, width) = rest.rsplit_once('/')?;
        let dimensions = if width == "own" { None } else { Some(width.parse().ok()?) };
        Some(Read { kind, model, dimensions })
    }
}

impl Providers {
    /// The embedding model of this fingerprint, at whichever provider of the pipeline has it. `prefixes`: what it may want before each
    /// input, as far as that is known besides what is usual for it. Nothing is sent yet.
    ///
    /// # Errors
    /// When no provider has it: what is to be declared, or why one that is declared cannot be used.
    pub async fn embedder_of(
        &self,
        fingerprint: &Fingerprint,
        prefixes: &[Prefixes],
    ) -> Result<Arc<dyn Embedder>, ProviderError> {
        let read = Read::of(fingerprint);
        let kind = read.as_ref().and_then(|read| ProviderKind::named(read.kind));
        let (Some(read), Some(kind)) = (read, kind) else { return Err(gone(fingerprint, "of a kind that is not known")) };
        let local = local::model_of(fingerprint.as_str());
        let mut refused = None;
        let is_there = |provider: &&ProviderPlan| {
            provider.kind == kind && (local.is_some() || provider.identity().as_deref() == fingerprint.server())
        };
        for provider in self.plans().values().filter(is_there) {
            let model = ModelRef::new(&provider.name, local.unwrap_or(read.model));
            let plan = EmbedPlan { dimensions: read.dimensions, ..EmbedPlan::new(model) };
            let with = |Prefixes { query, passage }: Prefixes| {
                let [query_prefix, passage_prefix] = [query, passage].map(Some);
                EmbedPlan { query_prefix, passage_prefix, ..plan.clone() }
            };
            let mut tried = vec![plan.clone()];
            if local.is_none() {
                tried.extend(prefixes.iter().cloned().chain([Prefixes::default()]).map(with));
            }
            for plan in tried {
                match self.embedder(&plan).await {
                    Ok(embedder) if embedder.fingerprint() == *fingerprint => return Ok(embedder),
                    Ok(_) => {}
                    Err(error) => refused = refused.or(Some(error)),
                }
            }
        }
        Err(match refused {
            Some(error) => {
                let hint = error.hint.clone().unwrap_or_else(|| "see what its provider needs".to_owned());
                error.with_hint(format!("{hint} ({WANTED})"))
            }
            None => gone(fingerprint, "at no provider of this pipeline"),
        })
    }
}

/// What the old model is still wanted for.
const WANTED: &str = "it embeds the questions until the vectors of the new model are complete";

fn gone(fingerprint: &Fingerprint, why: &str) -> ProviderError {
    let kind = Read::of(fingerprint).and_then(|read| ProviderKind::named(read.kind));
    let (provider, declared) = match (kind, fingerprint.server()) {
        (Some(kind), Some(server)) => {
            let name = kind.name();
            (name, format!("declare it again under `providers` (`kind: {name}`, the `base_url` or `identity` of {server})"))
        }
        (Some(kind), None) => (kind.name(), format!("declare it again under `providers` (`kind: {}`)", kind.name())),
        (None, _) => ("embed", "name it again".to_owned()),
    };
    let message = format!("the model that the index was made with, {fingerprint}, is {why}");
    let error = ProviderError::new(provider, ErrorKind::NotFound, message);
    error.with_hint(format!(
        "{declared}, with its `query_prefix` and `passage_prefix` under `embed` if it had any: {WANTED}; or search by words alone \
         until then: `query: {{ retrieve: {{ mode: sparse }} }}`"
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test may panic")]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::providers::Secret;

    fn providers(plans: impl IntoIterator<Item = (&'static str, &'static str)>) -> Providers {
        let plan = |(name, url): (&str, &str)| {
            let api_key = (!url.contains("keyless")).then(|| Secret::new("k"));
            let base_url = url.replace("keyless", "api.openai.com").parse().unwrap();
            let plan = ProviderPlan { name: name.into(), base_url, api_key, ..ProviderPlan::new(ProviderKind::OpenAi) };
            (name.to_owned(), plan)
        };
        Providers::new(plans.into_iter().map(plan).collect::<BTreeMap<_, _>>(), std::env::temp_dir())
    }

    #[tokio::test]
    async fn a_model_is_found_at_its_server_whatever_the_provider_is_called() {
        let all = providers([("a", "https://api.openai.com/v1"), ("b", "http://localhost:8080/v1")]);
        for (provider, model, dimensions, prefix) in [
            ("a", "text-embedding-3-small", Some(512), None),
            ("a", "text-embedding-3-large", None, None),
            ("b", "org/nomic-embed-text", None, None),
            ("b", "org/nomic-embed-text", Some(64), Some("")),
            ("b", "m", None, Some("问题：")),
        ] {
            let prefix = prefix.map(str::to_owned);
            let plan = EmbedPlan {
                dimensions,
                query_prefix: prefix.clone(),
                passage_prefix: prefix,
                ..EmbedPlan::new(ModelRef::new(provider, model))
            };
            let made = all.embedder(&plan).await.unwrap();
            let known = [Prefixes::of(&plan)];
            let found = all.embedder_of(&made.fingerprint(), &known).await.unwrap();
            assert_eq!((found.model(), found.fingerprint()), (made.model(), made.fingerprint()));
        }
    }

    #[tokio::test]
    async fn one_that_is_gone_says_what_to_declare_and_one_without_a_key_what_it_lacks() {
        let all = providers([("a", "https://keyless/v1")]);
        let elsewhere = Fingerprint::new("openai/m/8").at("localhost:8080/v1");
        let error = all.embedder_of(&Fingerprint::new("voyage/voyage-3/own"), &[]).await.unwrap_err();
        assert!(error.message.contains("at no provider") && error.hint.unwrap().contains("kind: voyage"));
        let error = all.embedder_of(&Fingerprint::new("custom/own/letters"), &[]).await.unwrap_err();
        assert!(error.message.contains("custom/own/letters"), "{error}");
        let error = all.embedder_of(&Fingerprint::new("openai/m/8"), &[]).await.unwrap_err();
        assert!(error.kind == ErrorKind::Auth && error.hint.unwrap().contains("until the vectors of the new model"));
        let keyed = providers([("a", "https://api.openai.com/v1")]);
        let hint = keyed.embedder_of(&elsewhere, &[]).await.unwrap_err().hint.unwrap();
        assert!(hint.contains("localhost:8080/v1") && hint.contains("query_prefix"), "{hint}");
    }

    #[test]
    fn a_fingerprint_is_read_from_its_end() {
        let read = |text: &'static str| {
            let fingerprint = Fingerprint::new(text);
            Read::of(&fingerprint).map(|read| (read.kind.to_owned(), read.model.to_owned(), read.dimensions))
        };
        assert_eq!(read("openai/org/m/512"), Some(("openai".into(), "org/m".into(), Some(512))));
        assert_eq!(read("ollama/m/own/prefix-0123"), Some(("ollama".into(), "m".into(), None)));
        assert_eq!(read("custom"), None);
        assert_eq!(read("custom/own/letters"), None);
    }
}
