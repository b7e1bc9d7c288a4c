// What the page asks of the service.

import { t } from "./strings.js";

export class Fault extends Error {
  constructor(message, hint, kind, status) {
    super(message);
    Object.assign(this, { hint, kind, status });
  }
}

let login = async () => {};
export const onLogin = (ask) => (login = ask);

// How long an answer that is no work may take, in milliseconds: a connection that was lost may be silent for ever.
const PATIENCE = 15_000;

// A signal for such a request, which another one may end before.
export function within(signal) {
  const late = AbortSignal.timeout(PATIENCE);
  return signal ? AbortSignal.any([signal, late]) : late;
}

// One request; where a token is needed, once more after the login.
async function request(path, { method = "GET", body, signal, accept = "application/json" } = {}, again = true) {
  const headers = { accept };
  if (body !== undefined) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    throw unreachable(error);
  }
  if (response.status === 401 && again && path !== "/login") {
    await login();
    return request(path, { method, body, signal, accept }, false);
  }
  if (!response.ok) throw await fault(response);
  return response;
}

// What was given up on purpose is no fault.
const unreachable = (error) => (error.name === "AbortError" ? error : new Fault(t("unreachable"), null, "unreachable", 0));

async function fault(response) {
  const said = await response.json().catch(() => ({}));
  const after = response.headers.get("retry-after");
  const hint = [said.hint, after && t("retry_in", { n: after })].filter(Boolean).join(" ");
  return new Fault(said.message ?? `HTTP ${response.status}`, hint, said.kind, response.status);
}

export async function json(path, options) {
  const response = await request(path, options);
  if (response.status === 204) return null;
  return response.json().catch((error) => {
    // It was cut off.
    throw unreachable(error);
  });
}

// Server-sent events. Not by EventSource, which asks again when an answer ends, and then it is paid for twice.
export async function events(path, options, each) {
  const response = await request(path, { ...options, accept: "text/event-stream" });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    held += value;
    let end;
    while ((end = held.indexOf("\n\n")) >= 0) {
      const data = held
        .slice(0, end)
        .split("\n")
        .filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5).trimStart())
        .join("\n");
      held = held.slice(end + 2);
      if (data) each(JSON.parse(data));
    }
  }
}

// A document's id in addresses, as the service has it: its uri in base64.
export function idOf(uri) {
  const bytes = String.fromCharCode(...new TextEncoder().encode(uri));
  return btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

// The address of a passage on this service; where several indexes were asked, each says whose it is.
export function addressOf({ uri, lines, pipeline }) {
  const of = pipeline ? `?pipeline=${encodeURIComponent(pipeline)}` : "";
  return `/documents/${idOf(uri)}${of}#L${lines[0]}-${lines[1]}`;
}
