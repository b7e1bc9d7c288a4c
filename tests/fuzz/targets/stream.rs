//! A streamed answer of each wire format, with any bytes, cut anywhere: what comes out does not depend on the cuts, ends once, and is
//! never a finished answer without the provider's own end mark.
#![no_main]

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use libfuzzer_sys::fuzz_target;
use ragstream::pipeline::default_plan;
use ragstream::providers::http::Http;
use ragstream::providers::{ChatEvent, ProviderKind, decode_chat};
use tokio::runtime::Runtime;

const KINDS: [(ProviderKind, &str); 5] = [
    (ProviderKind::OpenAi, "openai"),
    (ProviderKind::Anthropic, "anthropic"),
    (ProviderKind::Gemini, "gemini"),
    (ProviderKind::Ollama, "ollama"),
    (ProviderKind::Mistral, "mistral"),
];

/// The text, and how it ended.
fn decoded(runtime: &Runtime, kind: ProviderKind, http: &Arc<Http>, pieces: Vec<Bytes>) -> (String, String) {
    let body = stream::iter(pieces.into_iter().map(Ok)).boxed();
    let Some(mut answer) = decode_chat(kind, http, body) else { return Default::default() };
    runtime.block_on(async {
        let (mut text, mut end) = (String::new(), String::new());
        while let Some(event) = answer.next().await {
            assert!(end.is_empty(), "nothing follows the end");
            match event {
                Ok(ChatEvent::Text(piece)) => text.push_str(&piece),
                Ok(ChatEvent::Done { stop, .. }) => end = format!("{stop:?}"),
                Ok(_) => {}
                Err(error) => end = format!("{:?}", error.kind),
            }
        }
        assert!(!end.is_empty(), "an answer ends, well or not");
        (text, end)
    })
}

fuzz_target!(|data: &[u8]| {
    static ONCE: OnceLock<(Runtime, Vec<Arc<Http>>)> = OnceLock::new();
    let (runtime, connections) = ONCE.get_or_init(|| {
        let plans = default_plan(&|name| name.ends_with("_API_KEY").then(|| "key".to_owned())).providers;
        let connect = |(_, name): &(ProviderKind, &str)| Arc::new(Http::connect(&plans[*name]).unwrap());
        (tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(), KINDS.iter().map(connect).collect())
    });
    let [choice, cut, body @ ..] = data else { return };
    let index = *choice as usize % KINDS.len();
    let (kind, http) = (KINDS[index].0, &connections[index]);
    let whole = decoded(runtime, kind, http, vec![Bytes::copy_from_slice(body)]);
    let size = (*cut as usize % 7) + 1;
    let pieces = decoded(runtime, kind, http, body.chunks(size).map(Bytes::copy_from_slice).collect());
    assert_eq!(whole, pieces, "cuts of {size} bytes");
});
