//! Models that answer, as the rest of the crate sees them.

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::providers::usage::{PromptCache, Usage};
use crate::providers::{Price, ProviderError};

/// The speaker of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The person who asks.
    User,
    /// The model.
    Assistant,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The speaker.
    pub role: Role,
    /// The words.
    pub text: String,
}

impl Message {
    /// A message of the user's.
    pub fn user(text: impl Into<String>) -> Self {
        Self { role: Role::User, text: text.into() }
    }

    /// A message of the model's.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self { role: Role::Assistant, text: text.into() }
    }
}

/// A question to a chat model.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRequest {
    /// Instructions that come from ragstream itself, never from documents.
    pub system: String,
    /// The conversation, oldest first; the last is the user's.
    pub messages: Vec<Message>,
    /// Tokens the answer may have.
    pub max_tokens: u32,
    /// 0 is the most deterministic; `None` leaves it to the provider.
    pub temperature: Option<f32>,
    /// What it has in common with requests that come soon; `None` where nothing is known of any.
    pub shared: Option<Shared>,
}

/// What several requests begin with: their instructions, and so much of their first message. A provider reads it once, where it keeps
/// the beginnings of prompts: most do by themselves, others have to be told (see [`ChatModel::keeps`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shared {
    /// Bytes of the first message, which end with a character.
    pub bytes: usize,
    /// Tokens of it and of the instructions, about.
    pub tokens: u64,
}

/// The tokens of so many bytes, on the high side.
pub(super) const fn estimated(bytes: usize) -> u64 {
    bytes as u64 / 3
}

impl ChatRequest {
    /// This conversation, without instructions; the answer may have 1,024 tokens.
    pub fn new(messages: Vec<Message>) -> Self {
        Self { system: String::new(), messages, max_tokens: 1024, temperature: None, shared: None }
    }

    /// The tokens that the request and its answer may come to, on the high side: three bytes a token, where prose in most
    /// models has four or more and Chinese about three, and a few tokens of markup a message.
    pub fn estimated_tokens(&self) -> u64 {
        self.estimated_input() + u64::from(self.max_tokens)
    }

    /// Those of the request alone.
    pub(super) fn estimated_input(&self) -> u64 {
        let texts = self.messages.iter().map(|message| &message.text).chain([&self.system]);
        texts.map(|text| estimated(text.len()) + 8).sum()
    }
}

/// The reason why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StopReason {
    /// It had finished.
    End,
    /// `max_tokens` was reached: the answer is cut.
    Length,
    /// A filter of the provider's stopped it.
    Refused,
}

/// An event of an answer's stream. The last one is `Done`; a stream that ends without it yields an `Err` instead.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ChatEvent {
    /// The model thinks aloud; not part of the answer.
    Reasoning(String),
    /// A piece of the answer.
    Text(String),
    /// What came as text so far were thoughts: the answer begins only now.
    Retracted,
    /// The provider's own end mark was seen.
    Done {
        /// The reason why it stopped.
        stop: StopReason,
        /// The tokens, where the provider counts them.
        usage: Usage,
    },
}

impl Usage {
    /// The cost in US dollars; `None` where the price or the tokens are not known. What came from a cache costs as much as the rest where
    /// its own price is not known, so that it is the most that was paid.
    pub fn cost(&self, price: Option<Price>) -> Option<f64> {
        let price = price?;
        if price == Price::FREE {
            return Some(0.0);
        }
        let PromptCache { read_tokens, written_tokens } = self.prompt_cache;
        let input = self.input_tokens?;
        // They are part of the input, whatever a server says.
        let read = read_tokens.min(input);
        let written = written_tokens.min(input - read);
        let more = |of_its_own: Option<f64>, tokens: u64| of_its_own.map_or(0.0, |own| (own - price.input) * tokens as f64);
        let more = more(price.cache_read, read) + more(price.cache_write, written);
        Some(price.cost(input, self.output_tokens?)? + more / 1e6)
    }
}

/// A stream of an answer. Dropping it cancels the request upstream.
pub type ChatStream = BoxStream<'static, Result<ChatEvent, ProviderError>>;

/// A model that answers.
///
/// ```
/// use futures_util::{StreamExt, stream};
/// use ragstream::providers::{ChatEvent, ChatModel, ChatRequest, ChatStream, Message, ProviderError, StopReason, Usage};
///
/// /// Says what it was told.
/// #[derive(Debug)]
/// struct Echo;
///
/// #[async_trait::async_trait]
/// impl ChatModel for Echo {
///     fn model(&self) -> &str {
///         "own/echo"
///     }
///
///     async fn chat(&self, request: ChatRequest) -> Result<ChatStream, ProviderError> {
///         let said = request.messages.last().map(|message| message.text.clone()).unwrap_or_default();
///         let end = ChatEvent::Done { stop: StopReason::End, usage: Usage::new(None, None) };
///         Ok(stream::iter([Ok(ChatEvent::Text(said)), Ok(end)]).boxed())
///     }
/// }
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let answer = Echo.chat(ChatRequest::new(vec![Message::user("Hello?")])).await.unwrap();
/// let events: Vec<ChatEvent> = answer.map(Result::unwrap).collect().await;
/// assert_eq!(events[0], ChatEvent::Text("Hello?".to_owned()));
/// # });
/// ```
#[async_trait]
pub trait ChatModel: Send + Sync + std::fmt::Debug {
    /// `provider/model`, as the user writes it.
    fn model(&self) -> &str;

    /// Sends the request and returns the answer's stream. What fails before the first event may be tried again here; after it
    /// nothing is, as pieces that were shown cannot be taken back. Dropping the future, or the stream, cancels the request.
    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, ProviderError>;

    /// The price, where it is known.
    fn price(&self) -> Option<Price> {
        None
    }

    /// Whether the provider keeps what requests have in common because they say so, for those that come once it has begun to answer
    /// the first. Where it does it by itself, or not at all, nobody has to wait for that.
    fn keeps(&self, _shared: Shared) -> bool {
        false
    }
}
