//! In process: no key, no network once the model is there (see [`crate::providers::local`]).

use super::vendor::{EmbedBackend, RerankBackend, Vendor};
use crate::providers::site::{Auth, Site};

pub(super) static VENDOR: Vendor = Vendor {
    at_home: true,
    embed: Some(EmbedBackend::InProcess),
    rerank: Some(RerankBackend::InProcess),
    ..Vendor::new("local", Site { auth: Auth::None, ..Site::new("local:", &[]) })
};
