// Asks a service by one client. Arguments: which one, the address of /v1, a token, and what is to be said.
import assert from "node:assert/strict";

const [which, baseURL, apiKey, said] = process.argv.slice(2);
const question = "How often are keys rotated?";
const messages = (content) => [{ role: "user", content }];
const cited = ["[1]", "[1]", "[2]"];

const clients = {
  async openai() {
    const { default: OpenAI } = await import("openai");
    const client = new OpenAI({ baseURL, apiKey });
    const models = await client.models.list();
    assert.deepEqual(models.data.map((model) => model.id), ["docs", "docs+sources"]);
    const whole = await client.chat.completions.create({ model: "docs", messages: messages(question) });
    assert.equal(whole.choices[0].message.content, said);
    const notes = whole.choices[0].message.annotations.map((note) => note.url_citation);
    // All of it is in the basic plane: a code point is a unit here.
    assert.deepEqual(notes.map((note) => said.slice(note.start_index, note.end_index)), cited);
    let text = "";
    const urls = [];
    for await (const chunk of await client.chat.completions.create({ model: "docs", messages: messages(question), stream: true })) {
      text += chunk.choices[0].delta.content ?? "";
      urls.push(...(chunk.choices[0].delta.annotations ?? []).map((note) => note.url_citation.url));
    }
    assert.equal(text, said);
    assert.deepEqual(urls, notes.map((note) => note.url));
    const helper = client.chat.completions.stream({ model: "docs", messages: messages(question), stream_options: { include_usage: true } });
    assert.equal(await helper.finalContent(), said);
    assert.equal((await helper.totalUsage()).total_tokens, 18);
    const response = await client.responses.create({ model: "docs", input: question });
    assert.equal(response.output_text, said);
    const streamed = await client.responses.stream({ model: "docs", input: question }).finalResponse();
    assert.deepEqual(streamed.output[0].content[0].annotations, response.output[0].content[0].annotations);
    assert.equal(streamed.output_text, said);
    const vectors = await client.embeddings.create({ model: "docs", input: ["keys", "密钥"] });
    const numbers = await client.embeddings.create({ model: "docs", input: "keys", encoding_format: "float" });
    assert.equal(vectors.data.length, 2);
    vectors.data[0].embedding.forEach((x, n) => assert.ok(Math.abs(x - numbers.data[0].embedding[n]) < 1e-6));
    const refused = { model: "gpt-5", messages: messages(question) };
    await assert.rejects(client.chat.completions.create(refused), (error) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found");
    const broken = await client.chat.completions.create({ model: "docs", messages: messages("break off keys"), stream: true });
    await assert.rejects(async () => { for await (const _ of broken); }, (error) => error instanceof OpenAI.APIError && error.code === "network");
  },

  async responses() {
    const { createOpenAI } = await import("@ai-sdk/openai");
    const provider = createOpenAI({ baseURL, apiKey });
    await answers(provider("docs"), 3);
    const { embedMany } = await import("ai");
    const { embeddings } = await embedMany({ model: provider.embeddingModel("docs"), values: ["keys", "密钥"] });
    assert.equal(embeddings.length, 2);
  },

  async chat() {
    const { createOpenAI } = await import("@ai-sdk/openai");
    await answers(createOpenAI({ baseURL, apiKey }).chat("docs"), 3);
  },

  async compatible() {
    const { createOpenAICompatible } = await import("@ai-sdk/openai-compatible");
    await answers(createOpenAICompatible({ name: "ragstream", baseURL, apiKey, includeUsage: true })("docs"), 0);
  },

  async perplexity() {
    const { createPerplexity } = await import("@ai-sdk/perplexity");
    // It asks for no usage.
    await answers(createPerplexity({ baseURL, apiKey })("docs"), 3, null);
  },
};

// Of a model of the AI SDK: whole and streamed, so many sources of each, and an error in mid-stream that is one.
async function answers(model, sources, tokens = 18) {
  const { generateText, streamText } = await import("ai");
  const whole = await generateText({ model, prompt: question });
  assert.deepEqual([whole.text, whole.finishReason, whole.sources.length], [said, "stop", sources]);
  const streamed = streamText({ model, prompt: question });
  assert.equal(await streamed.text, said);
  assert.equal(await streamed.finishReason, "stop");
  assert.deepEqual((await streamed.sources).map((source) => source.url), whole.sources.map((source) => source.url));
  assert.equal((await streamed.usage).totalTokens ?? null, tokens);
  const errors = [];
  const broken = streamText({ model, prompt: "break off keys", maxRetries: 0, onError: ({ error }) => errors.push(error) });
  for await (const _ of broken.fullStream);
  assert.equal(errors.length, 1);
}

await clients[which]();
