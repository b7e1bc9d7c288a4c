// A conversation with the documents.

import { addressOf, events, Fault, json, within } from "./api.js";
import { announce, fault, h, number, reachable, seconds, translate } from "./dom.js";
import { doubted, explain, hear } from "./doubts.js";
import * as options from "./options.js";
import { cards } from "./source.js";
import { t } from "./strings.js";
import { open } from "./viewer.js";
import { repeat } from "./watch.js";
import { offer, offers, pass, progress } from "./whole.js";

// A reload, and a look at a document, find the conversation again; it ends with the tab.
const KEY = "ragstream.chat";
const KEPT = 30;
// What was asked before goes with a question, this many times at most.
const HISTORY = 10;
// How often an index that is not there yet is looked for, in milliseconds.
const LOOK = 3000;

// A connection that breaks is asked for again so often: the answer goes on for ten seconds without a reader.
const TRIES = 3;

let turns = [];
let running = null;
// The page is left: what breaks off now goes on in the next one.
let leaving = false;
addEventListener("pagehide", () => (leaving = true));
addEventListener("pageshow", () => (leaving = false));
let view;
// What is being written, while another view is shown.
let draft = "";

try {
  turns = JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
} catch {
  turns = [];
}

function keep() {
  for (let most = KEPT; most >= 1; most = Math.floor(most / 3)) {
    try {
      return sessionStorage.setItem(KEY, JSON.stringify(turns.slice(-most)));
    } catch {
      // Too long to be kept: fewer, then.
    }
  }
}

// A random id, also where the page came over plain HTTP.
function fresh() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

export function show(main) {
  const log = h("div", { class: "turns" });
  const box = composer();
  main.replaceChildren(h("h1", { class: "unseen", t: "ask" }), log, box.form);
  view = { log, box };
  if (running) box.busy(true);
  if (turns.length === 0) log.append(welcome());
  for (const turn of turns) log.append(draw(turn));
  const last = log.lastElementChild;
  if (turns.length) last.scrollIntoView({ block: "start" });
  box.input.focus({ preventScroll: true });
  const left = new AbortController();
  repeat(notice, { every: () => LOOK, signal: left.signal });
  return () => {
    view = null;
    left.abort();
  };
}

function welcome() {
  const index = options.current();
  if (index && !index.index) return noIndex();
  const holds = index
    ? h("p", { class: "muted", t: "ask_holds", vars: { documents: number(index.documents), pipeline: index.pipeline } })
    : "";
  return h("div", { class: "empty" }, h("p", { class: "greeting", t: "ask_title" }), holds);
}

// An index that was not there may be now.
async function notice() {
  const is = () => Boolean(options.current()?.index);
  if (turns.length || is()) return;
  try {
    await options.status();
  } catch {
    // Who asks is told what is wrong.
  }
  if (view && !turns.length && is()) view.log.replaceChildren(welcome());
}

export function noIndex() {
  return h(
    "div",
    { class: "empty" },
    h("p", { class: "greeting", t: "no_index" }),
    h("p", { class: "muted", t: "no_index_hint" }),
    h("pre", {}, h("code", {}, "ragstream ingest ./docs")),
  );
}

function composer() {
  const input = h("textarea", {
    id: "question",
    rows: "1",
    label: "question",
    placeholder: "ask_placeholder",
    "aria-describedby": "keys",
    enterkeyhint: "send",
  });
  const send = h("button", { class: "primary send", type: "submit", t: "send" });
  const halt = h("button", { class: "primary stop", type: "button", t: "stop", hidden: true, onclick: () => stop() });
  const another = h("button", {
    class: "quiet",
    type: "button",
    t: "new_chat",
    hidden: turns.length === 0,
    onclick: () => begin(),
  });
  const form = h(
    "form",
    { class: "composer", onsubmit: (event) => (event.preventDefault(), submit()) },
    h("div", { class: "box" }, input, send, halt),
    h(
      "div",
      { class: "under" },
      options.fields({ model: true, onchange: () => turns.length === 0 && view.log.replaceChildren(welcome()) }),
      another,
    ),
    h("p", { id: "keys", class: "unseen", t: "keys" }),
  );
  const grow = () => {
    input.style.height = "auto";
    input.style.height = `${Math.min(input.scrollHeight, innerHeight * 0.4)}px`;
  };
  input.addEventListener("input", () => {
    draft = input.value;
    grow();
  });
  input.value = draft;
  input.addEventListener("keydown", (event) => {
    // Enter also ends what an input method is composing; that is no question yet.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229) {
      event.preventDefault();
      submit();
    }
    if (event.key === "ArrowUp" && !input.value && turns.length) {
      event.preventDefault();
      input.value = turns.at(-1).question;
      grow();
    }
  });
  function submit() {
    const question = input.value.trim();
    if (!question || running) return;
    draft = input.value = "";
    grow();
    ask(question);
  }
  const busy = (is) => {
    send.hidden = is;
    halt.hidden = !is;
    another.hidden = is || turns.length === 0;
  };
  return { form, input, busy };
}

function begin() {
  turns = [];
  keep();
  view.log.replaceChildren(welcome());
  view.box.busy(false);
  view.box.input.focus();
}

export const focus = () => view?.box.input.focus();

// Whether there was something to stop.
export function stop() {
  if (!running) return false;
  const { turn } = running;
  running.abort();
  // It would go on for a while without a reader. Where this is lost, it does, and then ends by itself.
  json(`/api/ask/${turn.id}`, { method: "DELETE", signal: within() }).catch(() => {});
  return true;
}

// The last turn once more, in the way that it says or in another one.
function again(turn, how = turn.how) {
  if (running) return;
  turns = turns.filter((other) => other !== turn);
  document.getElementById(`turn-${turn.id}`)?.remove();
  ask(turn.question, how);
}

// The same while it is still written.
function instead(turn, how) {
  turn.next = how;
  if (!stop()) again(turn, how);
}

// `how`: what a request says of the way, such as that all documents are read.
async function ask(question, how) {
  const turn = {
    id: fresh(),
    question,
    answer: "",
    blocks: [],
    sources: [],
    notes: [],
    asked: options.chosen({ model: true }),
    how,
  };
  const history = turns
    .filter((turn) => turn.answer && turn.done)
    .slice(-HISTORY)
    .map(({ question, answer }) => ({ question, answer }));
  if (turns.length === 0) view.log.replaceChildren();
  turns.push(turn);
  view.log.append(draw(turn));
  view.log.lastElementChild.scrollIntoView({ block: "start" });
  // A reload finds it, and goes on with it.
  keep();
  const body = { id: turn.id, question, html: true, history: history.length ? history : undefined, ...turn.asked, ...how };
  await follow(turn, ["/api/ask", { method: "POST", body }]);
}

// Reads an answer to its end; one whose connection breaks is gone on with, and not asked for again.
async function follow(turn, request) {
  running = new AbortController();
  running.turn = turn;
  const { signal } = running;
  view?.box.busy(true);
  let [path, options] = request;
  for (let tries = 0; ; tries += 1) {
    try {
      await events(path, { ...options, signal }, (event) => take(turn, event));
      if (turn.done || turn.error) break;
    } catch (error) {
      if (leaving) return;
      if (error.name === "AbortError") {
        turn.notes.push({ key: "stopped" });
        break;
      }
      // What the service says itself is final.
      if (error instanceof Fault && (error.status || tries === 0)) {
        if (!options.method && [404, 410].includes(error.status)) turn.notes.push({ key: "cut_off" });
        else turn.error = { message: error.message, hint: error.hint };
        break;
      }
    }
    if (leaving) return;
    if (tries === TRIES) {
      turn.notes.push({ key: "cut_off" });
      break;
    }
    await new Promise((wait) => setTimeout(wait, 300));
    if (!signal.aborted) anew(turn);
    [path, options] = [`/api/ask/${turn.id}`, {}];
  }
  running = null;
  turn.ended = true;
  keep();
  view?.box.busy(false);
  update(turn);
  finish(turn);
  if (turn.next && view) again(turn, turn.next);
}

// What has come of an answer comes again, from its beginning.
function anew(turn) {
  Object.assign(turn, { answer: "", blocks: [], doubts: [], sources: [], notes: [], estimate: null, read: null });
  part(turn, ".prose")?.replaceChildren();
}

// An event of the answer.
function take(turn, event) {
  switch (event.type) {
    case "question":
      if (event.search !== event.question) turn.searched = event.search;
      break;
    case "estimate":
      turn.estimate = event;
      turn.read = event.reads ? [0, event.parts] : null;
      break;
    case "progress":
      turn.read = [event.read, event.of];
      break;
    case "note":
      // The page says it in its own words, with a button.
      if (offers(turn) && event.message.includes("--all")) break;
      turn.notes.push({ key: "remark", vars: { remark: event.message } });
      break;
    case "sources":
      turn.sources = event.sources;
      break;
    case "token":
      turn.answer += event.text;
      if (event.doubts) {
        turn.doubts = [...(turn.doubts ?? []), ...event.doubts];
        explain(turn, part(turn, ".prose"));
      }
      return;
    case "html":
      turn.worded = true;
      turn.blocks[event.block] = event.html;
      block(turn, event.block);
      if (!event.open) speak(turn, event.block);
      return;
    case "interrupted":
      [turn.answer, turn.blocks, turn.doubts] = ["", [], []];
      part(turn, ".prose")?.replaceChildren();
    // The same is said of both.
    case "fallback":
      turn.notes.push({ key: "fallback", vars: { from: event.from, to: event.to }, more: event.error });
      break;
    case "done":
      turn.done = event;
      hear(event);
      break;
    case "error":
      turn.error = { message: event.message, hint: event.hint };
      break;
  }
  update(turn);
}

const part = (turn, selector) => document.getElementById(`turn-${turn.id}`)?.querySelector(selector);

// A turn's place on the page. What is in it is drawn by `block`, `update` and `finish`.
function draw(turn) {
  const article = h("article", { class: "turn", id: `turn-${turn.id}`, "aria-busy": turn.ended ? null : "true" });
  article.append(
    h("h2", { class: "question" }, h("span", { class: "unseen", t: "you" }), turn.question),
    h("p", { class: "status muted" }),
    pass(() => instead(turn, { all: false })),
    h("div", { class: "prose" }),
    h("div", { class: "notes" }),
    h("div", { class: "after" }),
  );
  article.querySelector(".prose").addEventListener("click", (event) => {
    const cite = event.target.closest("a.cite");
    // With a key held down the browser opens it beside this page.
    if (!cite || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const at = turn.sources.findIndex((source) => source.n === Number(cite.dataset.n));
    if (at >= 0) open(turn.sources, at, turn.asked.pipeline);
  });
  // Before it stands in the page, where `part` finds it.
  queueMicrotask(() => {
    turn.blocks.forEach((_, i) => block(turn, i));
    update(turn);
    if (turn.ended) finish(turn);
  });
  return article;
}

function block(turn, i) {
  const prose = part(turn, ".prose");
  if (!prose) return;
  const follow = innerHeight + scrollY >= document.documentElement.scrollHeight - 80;
  while (prose.childElementCount <= i) prose.append(h("div", {}));
  // What the service has sanitised, and nothing else, is ever set as HTML.
  const place = prose.children[i];
  place.innerHTML = turn.blocks[i];
  for (const cite of place.querySelectorAll("a.cite")) {
    const source = turn.sources.find((source) => source.n === Number(cite.hash.slice(2)));
    if (!source) continue;
    cite.dataset.n = source.n;
    cite.href = addressOf({ pipeline: turn.asked.pipeline, ...source });
    cite.title = source.title || source.uri;
    cite.setAttribute("aria-label", t("source", { n: source.n }));
  }
  explain(turn, prose);
  if (follow && !turn.ended) scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
}

// The line above an answer while it is awaited, and what is to be said of it below.
function update(turn) {
  const status = part(turn, ".status");
  if (!status) return;
  const waits = !turn.ended && turn.blocks.length === 0;
  const reads = progress(part(turn, ".pass"), waits ? turn : null);
  const what = turn.sources.length ? ["reading", { n: turn.sources.length }] : (reads ?? ["searching", {}]);
  const line = turn.searched ? ["searched_for", { text: turn.searched }] : null;
  const [key, vars] = (waits ? what : line) ?? ["", {}];
  status.hidden = !key;
  status.classList.toggle("waits", waits);
  Object.assign(status.dataset, { t: key, vars: JSON.stringify(vars) });
  if (key) translate(status);
  const notes = [...turn.notes];
  if (offers(turn)) notes.push({ key: "offer_all", vars: offer(turn.estimate) });
  const done = turn.done;
  if (done?.stop === "end" && done.ttft_ms === null) notes.push({ key: "note_empty" });
  if (done && done.stop !== "end") notes.push({ key: `note_${done.stop}` });
  if (done?.unknown_citations) notes.push({ key: "unknown", vars: { n: done.unknown_citations.join(", ") } });
  notes.push(...(done?.doubts ?? []).map(doubted));
  part(turn, ".notes").replaceChildren(
    ...notes.map(({ key, vars, more }) =>
      h("p", { class: "note" }, h("span", { t: key, vars }), more ? h("span", { class: "muted" }, ` (${more})`) : ""),
    ),
    ...(turn.error ? [fault(turn.error)] : []),
  );
}

// What stands below an answer when no more of it comes: before, it would be pushed down line by line.
function finish(turn) {
  const after = part(turn, ".after");
  if (!after) return;
  document.getElementById(`turn-${turn.id}`).removeAttribute("aria-busy");
  const { done } = turn;
  const facts = [];
  if (done) {
    if (done.model) facts.push(done.model);
    const { documents, parts } = done.whole ?? {};
    if (documents) facts.push(t("took_all", { documents: number(documents), parts: number(parts) }));
    facts.push(seconds(done.seconds));
    if (done.ttft_ms !== null && done.ttft_ms !== undefined)
      facts.push(t("first_after", { time: seconds(done.ttft_ms / 1000) }));
    const { input_tokens: read, output_tokens: written } = done.usage;
    if (read !== null && written !== null) facts.push(t("tokens", { in: number(read), out: number(written) }));
    if (done.cost_usd !== null)
      facts.push(number(done.cost_usd, { style: "currency", currency: "USD", maximumSignificantDigits: 2 }));
  }
  const copy = h("button", {
    class: "quiet",
    t: "copy",
    onclick: async () => {
      const copied = navigator.clipboard.writeText(turn.answer);
      copy.dataset.t = await copied.then(
        () => "copied",
        () => "not_copied",
      );
      translate(copy);
    },
  });
  after.replaceChildren(
    h(
      "div",
      { class: "meta" },
      h("span", { class: "facts" }, facts.join(" · ")),
      turn.worded && navigator.clipboard ? copy : "",
      ...(turns.at(-1) === turn ? choices(turn) : []),
    ),
    turn.sources.length
      ? h(
          "section",
          { "aria-labelledby": `sources-${turn.id}` },
          h("h3", { id: `sources-${turn.id}`, t: "sources" }),
          cards(turn.sources, { pipeline: turn.asked.pipeline, citations: turn.worded ? done?.citations : null }),
        )
      : "",
  );
  // A question is asked again only while it is the last.
  for (const button of view.log.querySelectorAll(".turn:not(:last-child) .last")) button.remove();
  reachable(part(turn, ".prose"));
}

// What can be done about the last question.
function choices(turn) {
  const choice = (key, how) => h("button", { class: "quiet last", t: key, onclick: () => again(turn, how) });
  return [
    offers(turn) ? choice("read_all", { all: true }) : "",
    turn.done?.stop === "unanswerable" ? choice("anyway", { ...turn.how, anyway: true }) : "",
    choice("again"),
  ];
}

// Says a piece of an answer, when it is whole, to those who hear it: without the numbers of its sources.
function speak(turn, i) {
  const said = part(turn, ".prose")?.children[i]?.cloneNode(true);
  if (!said) return;
  for (const cite of said.querySelectorAll("a.cite")) cite.remove();
  for (const cell of said.querySelectorAll("td, th, li")) cell.append(" ");
  // Before a full stop the number's blank is left.
  const text = said.textContent.replace(/\s+([.,:;!?])/g, "$1").trim();
  if (text) announce(text);
}

// After a reload: the last answer goes on, and of those before it nothing more comes.
for (const turn of turns.slice(0, -1)) turn.ended = true;
if (turns.length && !turns.at(-1).ended) {
  const turn = turns.at(-1);
  anew(turn);
  follow(turn, [`/api/ask/${turn.id}`, {}]);
}
