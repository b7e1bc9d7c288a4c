//! Buckets, as a pipeline file says them.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::pipeline::units::Size;

/// Objects of a bucket of S3, or of what speaks like it (`MinIO`, Ceph, R2, OSS, COS …). Only what is new or changed is fetched; hidden and
/// binary objects are skipped.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "s3")]
#[cfg_attr(not(feature = "s3"), expect(dead_code, reason = "without the feature it is refused as a whole"))]
pub(in crate::pipeline) struct S3Spec {
    /// Its name.
    #[schemars(length(min = 3, max = 255), example = &"handbook")]
    pub(in crate::pipeline) bucket: String,
    /// A folder in it: only what lies below. `docs` and `docs/` are the same, and neither is `docs-old/`.
    #[schemars(length(min = 1), example = &"docs/")]
    pub(in crate::pipeline) prefix: Option<String>,
    /// The server. By default AWS's own in the region, or what `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL` says.
    #[schemars(length(min = 1), example = &"https://minio.example.org:9000")]
    pub(in crate::pipeline) endpoint: Option<String>,
    /// Where the bucket lies. By default what `AWS_REGION` or `AWS_DEFAULT_REGION` says, else `us-east-1`.
    #[schemars(length(min = 1), example = &"eu-central-1")]
    pub(in crate::pipeline) region: Option<String>,
    /// By default the variable `AWS_ACCESS_KEY_ID`, with `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`. No file of profiles and no
    /// metadata service is asked: `eval "$(aws configure export-credentials --format env)"` sets the variables from them.
    #[schemars(length(min = 1), example = &"${S3_ACCESS_KEY}")]
    pub(in crate::pipeline) access_key: Option<String>,
    /// Of the access key.
    #[schemars(length(min = 1), example = &"${S3_SECRET_KEY}")]
    pub(in crate::pipeline) secret_key: Option<String>,
    /// Of the access key, where it is one of a session.
    #[schemars(length(min = 1), example = &"${S3_SESSION_TOKEN}")]
    pub(in crate::pipeline) session_token: Option<String>,
    /// Whether requests are not signed: the bucket is public.
    #[schemars(extend("default" = false))]
    pub(in crate::pipeline) anonymous: Option<bool>,
    /// Whether the bucket is a part of the host, and not of the path. By default at AWS, not at an `endpoint`.
    pub(in crate::pipeline) virtual_host: Option<bool>,
    /// When given: only objects whose key below the prefix matches. A pattern without `/` matches at any depth.
    #[schemars(inner(length(min = 1)), example = ["**/*.md"])]
    pub(in crate::pipeline) include: Option<Vec<Option<String>>>,
    /// Never objects whose key matches, nor what is below a folder that matches.
    #[schemars(inner(length(min = 1)), example = ["**/draft/**"])]
    pub(in crate::pipeline) exclude: Option<Vec<Option<String>>>,
    /// Larger objects are skipped.
    #[schemars(extend("default" = "50MB"))]
    pub(in crate::pipeline) max_bytes: Option<Size>,
}
