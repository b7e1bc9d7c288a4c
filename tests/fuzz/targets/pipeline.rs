//! A pipeline file: a plan, or errors that each name a place in it. No secret that is written into it is ever shown.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use ragstream::pipeline::parse;

const SECRET: &str = "sk-s3cr3t-7b1f";

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let env = |name: &str| (name == "KEY").then(|| SECRET.to_owned());
    match parse(text, "docs.yaml", Path::new("/base"), &env) {
        Ok(loaded) => {
            assert!(!loaded.plan.name.is_empty());
            assert!(!format!("{:?}", loaded.plan).contains(SECRET), "a key in the plan prints as ***");
        }
        Err(errors) => {
            // In YAML a carriage return ends a line by itself, too.
            let lines = text.replace("\r\n", "\n").split(['\n', '\r']).count() + 1;
            for error in &errors {
                assert!(error.place.as_ref().is_none_or(|place| (1..=lines).contains(&place.line) && place.column >= 1));
                assert!(!error.to_string().contains(SECRET));
            }
        }
    }
});
