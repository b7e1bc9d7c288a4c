//! `TypeSafe`, whose Jev decides, and every server of decision models that speaks as it does: llama.cpp, SGLang, Databricks, …

use super::vendor::Vendor;
use crate::providers::Price;
use crate::providers::decide::wire::{Contract, DecisionApi};
use crate::providers::site::{Site, UrlVariable};

pub(super) static VENDOR: Vendor = Vendor {
    decide: Some(DecisionApi { contract: Contract::SystemOne }),
    // https://docs.typesafe.ai/models: what is read is paid for, what is written is free.
    prices: &[("jev-latest", Price::chat(0.042, 0.0)), ("jev-1.13.0", Price::chat(0.042, 0.0))],
    ..Vendor::new(
        "typesafe",
        Site {
            url_variable: Some(UrlVariable::Url("TYPESAFE_BASE_URL")),
            key_variables: &["TYPESAFE_API_KEY"],
            billing_page: Some("https://console.typesafe.ai"),
            ..Site::new("https://api.typesafe.ai", &["api.typesafe.ai"])
        },
    )
};
