//! The types between the one remote embedder and the wire formats.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use super::embedder::{EmbedLimits, InputType};

/// A request for vectors, in no one's format. The inputs have their prefixes.
#[derive(Debug, Clone, Copy)]
pub(in crate::providers) struct EmbedRequest<'a> {
    /// The model's name at the provider.
    pub(in crate::providers) model: &'a str,
    pub(in crate::providers) inputs: &'a [Cow<'a, str>],
    pub(in crate::providers) input_type: InputType,
    /// The width, where one other than the model's own is wanted.
    pub(in crate::providers) dimensions: Option<usize>,
    /// Whether vectors may come as base64, where the format knows that.
    pub(in crate::providers) base64: bool,
}

impl EmbedRequest<'_> {
    /// The vendor's word for the use of the inputs.
    pub(in crate::providers) fn word<'a>(&self, query: &'a str, passage: &'a str) -> &'a str {
        match self.input_type {
            InputType::Query => query,
            InputType::Passage => passage,
        }
    }
}

/// An answer as it came, not checked yet.
#[derive(Debug, Default, PartialEq)]
pub(in crate::providers) struct EmbedResponse {
    /// In the order of the inputs.
    pub(in crate::providers) vectors: Vec<Vec<f32>>,
    /// Tokens that were billed.
    pub(in crate::providers) tokens: Option<u64>,
}

/// A wire format for embeddings: it only translates.
pub(in crate::providers) trait EmbedWire: Send + Sync + fmt::Debug {
    /// The path after the base URL, and the body. `base_path` is the base URL's own path.
    fn request(&self, base_path: &str, request: &EmbedRequest<'_>) -> (String, Value);
    /// Reads an answer; the error says what is wrong with it.
    fn read(&self, body: &[u8]) -> Result<EmbedResponse, String>;
}

/// A vendor's API for embeddings.
#[derive(Debug)]
pub(in crate::providers) struct EmbedApi {
    pub(in crate::providers) wire: &'static dyn EmbedWire,
    /// The size of a request to this model; the flag tells the vendor's own server from a compatible one.
    pub(in crate::providers) limits: fn(model: &str, own_server: bool) -> EmbedLimits,
    /// Inputs and tokens a request above which the vendor's own server refuses, where its documentation says so.
    pub(in crate::providers) refused_above: (Option<usize>, Option<usize>),
    /// The model's own width, as the vendor documents it.
    pub(in crate::providers) width: fn(model: &str) -> Option<usize>,
    /// Whether vectors of fewer numbers than the model's own come with a length other than 1.
    pub(in crate::providers) reduced_unnormalised: bool,
}
