//! What providers have streamed.

use ragstream::providers::{ChatEvent, ProviderKind, StopReason};

use super::{done, done_cached, reasoning, text};

pub struct Recording {
    pub name: &'static str,
    pub kind: ProviderKind,
    pub body: &'static str,
    pub events: Vec<ChatEvent>,
}

pub fn recordings() -> Vec<Recording> {
    use StopReason::{End, Length};
    vec![
        Recording {
            name: "OpenAI",
            kind: ProviderKind::OpenAi,
            body: include_str!("../streams/openai.sse"),
            events: vec![text("Grüße, "), text("東京 🦀 [1]\n"), done(End, 19, 9)],
        },
        Recording {
            name: "OpenAI: tokens from the cache, and written to it",
            kind: ProviderKind::OpenAi,
            body: concat!(
                "data: {\"choices\":[{\"delta\":{\"content\":\"好\"},\"finish_reason\":\"stop\"}]}\n\n",
                "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":2006,\"completion_tokens\":300,\"prompt_tokens_details\":",
                "{\"cached_tokens\":1920,\"cache_write_tokens\":80,\"audio_tokens\":0}}}\n\ndata: [DONE]\n\n",
            ),
            events: vec![text("好"), done_cached(End, 2006, 300, 1920, 80)],
        },
        Recording {
            name: "DeepSeek: tokens from the cache under a name of its own",
            kind: ProviderKind::OpenAi,
            body: concat!(
                "data: {\"choices\":[{\"delta\":{\"content\":\"对\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":700,",
                "\"completion_tokens\":2,\"prompt_cache_hit_tokens\":640,\"prompt_cache_miss_tokens\":60}}\n\ndata: [DONE]\n\n",
            ),
            events: vec![text("对"), done_cached(End, 700, 2, 640, 0)],
        },
        Recording {
            name: "OpenRouter: comments, reasoning, a finish_reason before the usage",
            kind: ProviderKind::OpenAi,
            body: include_str!("../streams/openrouter.sse"),
            events: vec![reasoning("Überlegung"), text("Ja – nein"), done(Length, 5, 7)],
        },
        Recording {
            name: "Azure: no choices, no delta, no [DONE]",
            kind: ProviderKind::OpenAi,
            body: include_str!("../streams/azure.sse"),
            events: vec![text("Schön"), done(End, None, None)],
        },
        Recording {
            name: "llama.cpp: bare colons, reasoning_content",
            kind: ProviderKind::OpenAi,
            body: include_str!("../streams/llama_cpp.sse"),
            events: vec![reasoning("hm…"), text("Hello"), done(End, 31, 2)],
        },
        Recording {
            name: "vLLM: reasoning under both names, or either",
            kind: ProviderKind::OpenAi,
            body: include_str!("../streams/vllm.sse"),
            events: vec![reasoning("想一想"), reasoning("…"), text("四十二"), done(End, 15, 12)],
        },
        Recording {
            name: "Mistral: thoughts and text in typed parts, references, the usage with the last chunk",
            kind: ProviderKind::Mistral,
            body: include_str!("../streams/mistral.sse"),
            events: vec![reasoning("Où ça… "), text("À Besançon "), text("⌚ [1]"), done(Length, 15, 25)],
        },
        Recording {
            name: "Anthropic",
            kind: ProviderKind::Anthropic,
            body: include_str!("../streams/anthropic.sse"),
            events: vec![reasoning("Laß sehen"), text("Hallo "), text("世界 🌍"), done_cached(End, 32, 15, 7, 0)],
        },
        Recording {
            name: "Anthropic: blocks, deltas and events of no meaning here",
            kind: ProviderKind::Anthropic,
            body: include_str!("../streams/anthropic_blocks.sse"),
            events: vec![text("Été [2]"), done(Length, 4, 9)],
        },
        Recording {
            name: "Anthropic: what is kept of a prompt",
            kind: ProviderKind::Anthropic,
            body: include_str!("../streams/anthropic_kept.sse"),
            events: vec![text("On keys."), done_cached(End, 2121, 4, 100, 2000)],
        },
        Recording {
            name: "Gemini",
            kind: ProviderKind::Gemini,
            body: include_str!("../streams/gemini.sse"),
            events: vec![reasoning("Gedanke: höher"), text("Die "), text("Antwort…"), text(" 42"), done(Length, 11, 25)],
        },
        Recording {
            name: "Gemini: no candidates, no parts, no content, the usage last",
            kind: ProviderKind::Gemini,
            body: include_str!("../streams/gemini_bare.sse"),
            events: vec![text("好的 👌"), done(End, 8, 3)],
        },
        Recording {
            name: "Gemini: tokens from the cache, told with each chunk",
            kind: ProviderKind::Gemini,
            body: concat!(
                "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Ja\"}]}}],\"usageMetadata\":{\"promptTokenCount\":5000,",
                "\"cachedContentTokenCount\":4096}}\n\n",
                "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\".\"}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":",
                "{\"promptTokenCount\":5000,\"cachedContentTokenCount\":4096,\"candidatesTokenCount\":2}}\n\n",
            ),
            events: vec![text("Ja"), text("."), done_cached(End, 5000, 2, 4096, 0)],
        },
        Recording {
            name: "Ollama",
            kind: ProviderKind::Ollama,
            body: include_str!("../streams/ollama.ndjson"),
            events: vec![reasoning("Mal überlegen"), text("Größe: "), text("10 µm 👍"), done(End, 26, 298)],
        },
    ]
}
