// A document's text with the lines of a passage marked: in a panel over the page, or by itself at /documents/ID#L10-31.

import { addressOf, idOf, json } from "./api.js";
import { h } from "./dom.js";
import { t } from "./strings.js";

// Lines that are shown at once, before and after those that are marked.
const AROUND = 400;

export const place = ([from, to]) => t(from === to ? "line" : "lines", { from, to });

export const webLink = (link) => (/^https?:\/\//.test(link ?? "") ? link : null);

// The lines of a document: { n, text, page }.
function linesOf(parts) {
  const lines = [];
  let page;
  for (const part of parts) {
    const missing = lines.length ? part.lines[0] - lines.at(-1).n - 1 : 0;
    // One line that no passage holds is an empty one.
    if (missing > 0) lines.push({ gap: missing > 1, n: part.lines[0] - 1, text: "" });
    part.text.split("\n").forEach((text, i) => {
      const line = { n: part.lines[0] + i, text };
      if (i === 0 && part.page && part.page !== page) line.page = page = part.page;
      lines.push(line);
    });
  }
  return lines;
}

const row = ({ n, text, page, gap }) => [
  page ? h("p", { class: "page", t: "page", vars: { n: page } }) : null,
  gap
    ? h("p", { class: "gap", "aria-hidden": "true" }, "⋯")
    : h(
        "div",
        { class: "line" },
        h("span", { class: "n", "aria-hidden": "true" }, String(n)),
        h("span", { class: "text" }, text || "\u200b"),
      ),
];

// The text, and how to bring the marked lines into view.
function text(document, [from, to]) {
  const lines = linesOf(document.parts);
  const within = (line) => line.n >= from && line.n <= to;
  const first = Math.max(lines.findIndex(within), 0);
  const last = Math.max(lines.findLastIndex(within), first);
  let [start, end] = [Math.max(first - AROUND, 0), Math.min(last + AROUND, lines.length)];
  const rows = (some) => some.flatMap(row);
  const marked =
    from > 0
      ? h(
          "mark",
          { class: "lines", tabindex: "-1", "data-label": "marked", vars: { where: place([from, to]) }, role: "group" },
          rows(lines.slice(first, last + 1)),
        )
      : null;
  const body = h(
    "div",
    { class: "text-lines", lang: document.lang },
    rows(lines.slice(start, marked ? first : end)),
    marked,
    marked ? rows(lines.slice(last + 1, end)) : [],
  );
  const more = (t, shown, show) => {
    const button = h("button", { class: "quiet more", t, onclick: () => (show(), shown() && button.remove()) });
    return shown() ? null : button;
  };
  const earlier = more(
    "earlier",
    () => start === 0,
    () => {
      const next = Math.max(start - 5 * AROUND, 0);
      body.prepend(...rows(lines.slice(next, start)).filter(Boolean));
      start = next;
    },
  );
  const later = more(
    "later",
    () => end === lines.length,
    () => {
      const next = Math.min(end + 5 * AROUND, lines.length);
      body.append(...rows(lines.slice(end, next)).filter(Boolean));
      end = next;
    },
  );
  return {
    whole: h("div", { class: "document", tabindex: "0", role: "region", "data-label": "document" }, earlier, body, later),
    marked,
  };
}

function reveal({ whole, marked }) {
  if (!marked) return;
  // The middle, or the beginning of one that is taller than the window.
  const tall = marked.offsetHeight > whole.clientHeight * 0.7;
  marked.scrollIntoView({ block: tall ? "start" : "center", behavior: "instant" });
}

const load = (uri, pipeline) =>
  json(`/api/documents/${idOf(uri)}${pipeline ? `?pipeline=${encodeURIComponent(pipeline)}` : ""}`);

// A panel over the page, for one of several sources: the arrows go from one to the next.
let panel;
export function open(sources, at, pipeline) {
  const invoker = document.activeElement;
  panel?.close();
  const title = h("h2", { id: "viewer-title" });
  const where = h("p", { class: "where" });
  const actions = h("div", { class: "actions" });
  const body = h("div", { class: "viewer-body" });
  const dialog = h(
    "dialog",
    { class: "viewer", "aria-labelledby": "viewer-title" },
    h(
      "header",
      {},
      h("div", {}, title, where),
      h("button", { class: "icon", label: "close", hint: "close", onclick: () => dialog.close() }, "✕"),
    ),
    actions,
    body,
  );
  panel = dialog;
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (panel === dialog) panel = null;
    // The browser has given the focus back by now, and whoever types already keeps it.
    if (document.activeElement === document.body) invoker?.focus?.();
  });
  // Beside it is outside of it.
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") show(at - 1);
    if (event.key === "ArrowRight") show(at + 1);
  });
  async function show(next) {
    if (!sources[next]) return;
    at = next;
    const source = sources[at];
    const web = webLink(source.link);
    title.textContent = `${source.n ? `${source.n} · ` : ""}${source.title || source.uri.split("/").at(-1)}`;
    where.replaceChildren(
      source.pipeline ? h("span", { class: "of" }, source.pipeline) : "",
      h("span", { class: "uri" }, source.uri),
      " ",
      h("span", {
        t: source.lines[0] === source.lines[1] ? "line" : "lines",
        vars: { from: source.lines[0], to: source.lines[1] },
      }),
    );
    const step = (t, to, sign) =>
      sources.length > 1 &&
      h("button", { class: "quiet", label: t, hint: t, disabled: !sources[to], onclick: () => show(to) }, sign);
    actions.replaceChildren(
      ...[
        step("previous", at - 1, "←"),
        step("next", at + 1, "→"),
        h("a", { class: "quiet", href: addressOf({ pipeline, ...source }), target: "_blank", t: "open_alone" }),
        web && h("a", { class: "quiet", href: web, target: "_blank", rel: "noopener noreferrer nofollow", t: "open_web" }),
      ].filter(Boolean),
    );
    body.replaceChildren(h("p", { class: "muted", t: "loading" }));
    try {
      const document = await load(source.uri, source.pipeline ?? pipeline);
      if (at !== next) return;
      const shown = text(document, source.lines);
      body.replaceChildren(shown.whole);
      reveal(shown);
      // The keys that scroll do so at once.
      shown.whole.focus({ preventScroll: true });
    } catch (error) {
      if (at === next) body.replaceChildren(h("p", { class: "fault", role: "alert" }, error.message));
    }
  }
  document.body.append(dialog);
  dialog.showModal();
  return show(at);
}

// The page of a document.
export async function alone(main) {
  const id = location.pathname.split("/").at(-1);
  const pipeline = new URLSearchParams(location.search).get("pipeline");
  const shell = h("section", { class: "alone" }, h("p", { class: "muted", t: "loading" }));
  main.replaceChildren(shell);
  const lines = () => {
    const [, from, to] = location.hash.match(/^#L(\d+)(?:-L?(\d+))?$/) ?? [];
    return from ? [Number(from), Number(to ?? from)] : [0, -1];
  };
  try {
    const of = await json(
      `/api/documents/${encodeURIComponent(id)}${pipeline ? `?pipeline=${encodeURIComponent(pipeline)}` : ""}`,
    );
    const show = () => {
      const [from, to] = lines();
      const web = webLink(of.link);
      const shown = text(of, [from, to]);
      const where = from > 0 && h("span", { t: from === to ? "line" : "lines", vars: { from, to } });
      shell.replaceChildren(
        h(
          "header",
          {},
          h("h1", {}, of.title || of.uri.split("/").at(-1)),
          h("p", { class: "where" }, h("span", { class: "uri" }, of.uri), " ", where || ""),
          h(
            "p",
            { class: "actions" },
            web ? h("a", { class: "quiet", href: web, rel: "noopener noreferrer nofollow", t: "open_web" }) : "",
            h("a", { class: "quiet", href: "/", t: "back" }),
          ),
        ),
        shown.whole,
      );
      document.title = `${of.title || of.uri} – ragstream`;
      reveal(shown);
    };
    show();
    addEventListener("hashchange", show);
  } catch (error) {
    shell.replaceChildren(
      h("div", { class: "fault", role: "alert" }, h("p", {}, error.message), error.hint ? h("p", {}, error.hint) : ""),
      h("p", {}, h("a", { class: "quiet", href: "/", t: "back" })),
    );
  }
}
