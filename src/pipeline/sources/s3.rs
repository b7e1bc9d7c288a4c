//! Buckets.

#[cfg(feature = "s3")]
use url::Url;

#[cfg(feature = "s3")]
use super::{MAX_BYTES, excluded, included};
use crate::pipeline::meaning::{File, Problem};
use crate::pipeline::spec::S3Spec;
use crate::source::SourcePlan;
#[cfg(feature = "s3")]
use crate::{
    pipeline::connections::warn_of_plain_sight,
    providers::Secret,
    source::s3::{Login, REGION, S3Plan},
};

/// What to write where the address of a bucket stands in place of a file; `None` where it is none.
pub(crate) fn instead_of_bucket(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("s3") {
        return None;
    }
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    // JSON's strings are YAML's.
    let [bucket, prefix] = [bucket, prefix].map(|text| serde_json::to_string(text).unwrap_or_default());
    let prefix = if prefix == "\"\"" { String::new() } else { format!(", prefix: {prefix}") };
    Some(format!("in a pipeline file write `sources: [{{ s3: {{ bucket: {bucket}{prefix} }} }}]`"))
}

/// Says that this program cannot read any.
#[cfg(not(feature = "s3"))]
pub(super) fn resolve(file: &mut File<'_>, index: &str, _: &S3Spec, _: &[SourcePlan]) -> Option<SourcePlan> {
    let problem = Problem::new("this ragstream was built without `s3`").hint("build it with the feature `s3`");
    file.key_error(&["sources", index, "s3"], problem);
    None
}

/// What the file says of a bucket; `None` where nothing of it can be used, which has been reported. `others` are the sources before
/// it.
#[cfg(feature = "s3")]
pub(super) fn resolve(file: &mut File<'_>, index: &str, spec: &S3Spec, others: &[SourcePlan]) -> Option<SourcePlan> {
    let place = |key| ["sources", index, "s3", key];
    let endpoint = endpoint(file, index, spec)?;
    let region = spec.region.clone().or_else(|| variable(file, &["AWS_REGION", "AWS_DEFAULT_REGION"]));
    let region = region.unwrap_or_else(|| REGION.to_owned());
    let mut plan = match S3Plan::new(spec.bucket.trim(), region.trim(), endpoint, spec.virtual_host) {
        Ok(plan) => plan.below(spec.prefix.as_deref().unwrap_or_default()),
        Err(error) => {
            let shown = file.shown(&place("bucket"), &spec.bucket);
            file.error(&place("bucket"), Problem::new(format!("`{shown}`: {error}")));
            return None;
        }
    };
    if spec.bucket.trim().contains(|c: char| c.is_ascii_uppercase() || c == '_') {
        let shown = file.shown(&place("bucket"), &spec.bucket);
        let problem = Problem::new(format!("`{shown}` can only be the name of an old bucket, or of one that is not Amazon's"));
        file.warning(&place("bucket"), problem.hint("since 2018 names have 3 to 63 small letters, digits, `-` and `.`"));
    }
    if spec.prefix.as_deref().is_some_and(|prefix| prefix.starts_with('/')) {
        let problem = Problem::new("this `prefix` begins with a `/`, which few keys do");
        file.warning(&place("prefix"), problem.hint("`docs/` is what lies below `docs/`"));
    }
    plan.include = included(file, &place("include"), spec.include.as_deref());
    plan.exclude = excluded(file, &place("exclude"), spec.exclude.as_deref());
    plan.max_bytes = spec.max_bytes.map_or(MAX_BYTES, |size| size.0);
    plan.login = if spec.anonymous == Some(true) { None } else { Some(login(file, index, spec)?) };
    // The uri says which bucket, and not which server.
    let alike = |other: &SourcePlan| matches!(other, SourcePlan::S3(other) if other.bucket() == plan.bucket() && other.address() != plan.address());
    if others.iter().any(alike) {
        let problem = Problem::new(format!("two sources would name their documents alike: `s3://{}/…`", plan.bucket()));
        file.error(&place("bucket"), problem.hint("of two buckets with one name, read each in a pipeline of its own"));
    }
    Some(SourcePlan::S3(Box::new(plan)))
}

/// The first of some variables that says anything.
#[cfg(feature = "s3")]
fn variable(file: &File<'_>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| (file.env)(name).filter(|text| !text.trim().is_empty()))
}

/// The server that is named. The outer `None` has been reported.
#[cfg(feature = "s3")]
#[expect(clippy::option_option, reason = "a server that cannot be used is not one that is not named")]
fn endpoint(file: &mut File<'_>, index: &str, spec: &S3Spec) -> Option<Option<Url>> {
    let place = ["sources", index, "s3", "endpoint"];
    let whole = ["sources", index, "s3"];
    let (text, at): (_, &[&str]) = match &spec.endpoint {
        Some(text) => (text.clone(), &place),
        None => match variable(file, &["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]) {
            Some(text) => (text, &whole),
            None => return Some(None),
        },
    };
    let url = Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let bare = url.as_ref().is_some_and(|url| url.username().is_empty() && url.password().is_none() && url.query().is_none());
    if !bare {
        // Not shown: a password may stand in it.
        let problem = Problem::new("the `endpoint` is no address of a server");
        file.error(at, problem.hint("such as https://minio.example.org:9000, without a login"));
        return None;
    }
    Some(url)
}

/// Who asks. `None` has been reported.
#[cfg(feature = "s3")]
fn login(file: &mut File<'_>, index: &str, spec: &S3Spec) -> Option<Login> {
    let place = |key| ["sources", index, "s3", key];
    let whole = ["sources", index, "s3"];
    let secret = |text: &str| Secret::new(text.trim());
    match (&spec.access_key, &spec.secret_key) {
        (Some(access), Some(signs)) => {
            for key in ["secret_key", "session_token"] {
                warn_of_plain_sight(file, &place(key), "a secret");
            }
            let session_token = spec.session_token.as_deref().filter(|token| !token.trim().is_empty()).map(secret);
            Some(Login { access_key: secret(access), secret_key: secret(signs), session_token })
        }
        (None, None) => {
            let [access, signs, token] =
                ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"].map(|name| variable(file, &[name]));
            if let (Some(access), Some(signs)) = (access, signs) {
                let session_token = spec.session_token.clone().or(token).as_deref().map(secret);
                return Some(Login { access_key: secret(&access), secret_key: secret(&signs), session_token });
            }
            let hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (`eval \"$(aws configure export-credentials --format env)\"` \
                        does it, of a profile or a role), give `access_key` and `secret_key`, or say `anonymous: true` of a public one";
            file.key_error(&whole, Problem::new("nothing says who asks this bucket").hint(hint));
            None
        }
        (access, _) => {
            let (given, missing) = if access.is_some() { ("access_key", "secret_key") } else { ("secret_key", "access_key") };
            if !file.tainted(&whole) {
                file.key_error(
                    &place(given),
                    Problem::new(format!("`{given}` without `{missing}`")).hint("one needs the other"),
                );
            }
            None
        }
    }
}
