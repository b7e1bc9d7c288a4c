// A map of the corpus: a sample of its passages laid out by their vectors, and where a question's passages lie on it.

import { json } from "./api.js";
import { noIndex } from "./ask.js";
import { announce, fault, h, number } from "./dom.js";
import * as options from "./options.js";
import { cards } from "./source.js";
import { t } from "./strings.js";
import { open, place as where } from "./viewer.js";

// How near the pointer must be to a point, and how far one zooms at most.
const [NEAR, MOST] = [14, 40];
// Points of no group have this colour.
const OTHERS = 7;

let last = "";
let input;

export function show(main) {
  const left = new AbortController();
  input = h("input", {
    type: "search",
    id: "look",
    label: "map_search",
    placeholder: "map_placeholder",
    autocomplete: "off",
    enterkeyhint: "search",
  });
  input.value = last;
  const form = h(
    "form",
    { class: "composer top-box", role: "search", onsubmit: (event) => (event.preventDefault(), find()) },
    h("div", { class: "box" }, input, h("button", { class: "primary", type: "submit", t: "search" })),
    h("div", { class: "under" }, options.fields({ model: false, one: true, onchange: () => load() })),
  );
  const body = h("div", { class: "results" });
  const found = h("div", { class: "results" });
  main.replaceChildren(h("h1", { class: "unseen", t: "map" }), form, body, found);
  let drawn = null;
  let [loading, asked] = [null, null];

  async function load() {
    drawn = null;
    // Of another pipeline, it may come after this one.
    loading?.abort();
    loading = new AbortController();
    const { signal } = loading;
    found.replaceChildren();
    const index = options.current({ one: true });
    if (index && !index.index) return body.replaceChildren(noIndex());
    body.replaceChildren(h("p", { class: "muted", role: "status", t: "map_loading" }));
    const { pipeline } = options.chosen({ model: false, one: true });
    try {
      const of = pipeline ? `?pipeline=${encodeURIComponent(pipeline)}` : "";
      const map = await json(`/api/map${of}`, { signal });
      if (signal.aborted) return;
      drawn = chart(map, pipeline, left.signal);
      body.replaceChildren(about(map), drawn.whole, groups(map));
      drawn.draw();
      if (last) find();
    } catch (error) {
      fail(body, error);
    }
  }

  async function find() {
    last = input.value.trim();
    asked?.abort();
    if (!drawn) return;
    if (!last) {
      drawn.mark([]);
      return found.replaceChildren();
    }
    asked = new AbortController();
    const { pipeline, where } = options.chosen({ model: false, one: true });
    try {
      const { hits } = await json("/api/map", {
        method: "POST",
        signal: asked.signal,
        body: { query: last, pipeline, where, limit: 10 },
      });
      drawn?.mark(hits);
      const said = hits.length ? ["map_found", { n: number(hits.length) }] : ["found_none", {}];
      announce(t(...said));
      const numbered = hits.map((hit) => ({ ...hit, n: hit.rank }));
      found.replaceChildren(h("p", { class: "muted", t: said[0], vars: said[1] }), cards(numbered, { pipeline, citations: null }));
    } catch (error) {
      fail(found, error);
    }
  }

  function fail(place, error) {
    if (error.name !== "AbortError") place.replaceChildren(fault(error));
  }

  load();
  return () => (left.abort(), loading?.abort(), asked?.abort());
}

export const focus = () => input?.focus();

const percent = (value) => number(value, { style: "percent", maximumFractionDigits: value < 0.1 ? 1 : 0 });

function about({ points, chunks, shares }) {
  const all = points.length >= chunks;
  return h(
    "p",
    { class: "muted about" },
    h("span", {
      t: all ? "map_all" : "map_sample",
      vars: { n: number(points.length), all: number(chunks) },
    }),
    " ",
    h("span", { t: "map_shares", vars: { x: percent(shares[0]), y: percent(shares[1]), both: percent(shares[0] + shares[1]) } }),
  );
}

const groupName = (map, group) => (map.groups[group] === "." ? t("top_folder") : (map.groups[group] ?? t("others")));

// How many passages each group has, in words.
function groups(map) {
  const counts = tally(map);
  return h(
    "details",
    { class: "as-table" },
    h("summary", { t: "as_table" }),
    h(
      "div",
      { class: "data", tabindex: "0", role: "group", label: "as_table" },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            ["group", "chunks", "share", "middle"].map((key, i) => h("th", { scope: "col", class: i ? "right" : "", t: key })),
          ),
        ),
        h(
          "tbody",
          {},
          counts.map(({ group, n, x, y }) =>
            h(
              "tr",
              {},
              h("th", { scope: "row" }, groupName(map, group)),
              h("td", { class: "right" }, number(n)),
              h("td", { class: "right" }, percent(n / map.points.length)),
              h("td", { class: "right" }, [x, y].map((value) => number(value, { maximumFractionDigits: 2 })).join(" · ")),
            ),
          ),
        ),
      ),
    ),
  );
}

function tally(map) {
  const counts = new Map();
  for (const [x, y, group] of map.points) {
    const one = counts.get(group) ?? { group, n: 0, x: 0, y: 0 };
    counts.set(group, { group, n: one.n + 1, x: one.x + x, y: one.y + y });
  }
  return [...counts.values()].sort((a, b) => a.group - b.group).map((one) => ({ ...one, x: one.x / one.n, y: one.y / one.n }));
}

function chart(map, pipeline, signal) {
  const canvas = h("canvas", {
    tabindex: "0",
    role: "application",
    label: "map_label",
    vars: { n: number(map.points.length), groups: map.groups.length },
    "aria-describedby": "map-keys",
  });
  const tip = h("p", { class: "tip", "aria-hidden": "true", hidden: true });
  const frame = h("div", { class: "map" }, canvas, tip);
  const legend = h("ul", { class: "legend", role: "list" });
  const zoomer = (key, sign, by) => h("button", { class: "icon", label: key, hint: key, onclick: () => zoom(by) }, sign);
  const whole = h(
    "section",
    { "data-label": "map" },
    h(
      "div",
      { class: "map-bar" },
      legend,
      h("span", { class: "zoom" }, zoomer("zoom_in", "+", 1.5), zoomer("zoom_out", "−", 1 / 1.5), zoomer("zoom_all", "⤢", 0)),
    ),
    frame,
    h("p", { id: "map-keys", class: "unseen", t: "map_keys" }),
  );
  let [width, height] = [0, 0];
  // Both axes have the same scale, or nearness would mean nothing; they are as large as the frame has room for.
  const [xs, ys] = [0, 1].map((axis) => map.points.map((point) => point[axis]));
  const middle = (all) => (all.length ? (Math.min(...all) + Math.max(...all)) / 2 : 0);
  const reach = (all) => Math.max(all.length ? (Math.max(...all) - Math.min(...all)) / 2 : 0, 0.05);
  const home = { k: 1, x: middle(xs), y: middle(ys) };
  // What is seen: so many times as large, around this place.
  const eye = { ...home };
  let marked = [];
  let shown = null;
  let only = null;
  const swatches = [];

  for (const { group, n } of tally(map)) {
    const swatch = h("span", { class: `swatch group-${Math.min(group, OTHERS)}`, "aria-hidden": "true" });
    swatches[group] = swatch;
    const button = h(
      "button",
      {
        class: "quiet",
        "aria-pressed": "false",
        onclick: () => {
          only = only === group ? null : group;
          for (const other of legend.querySelectorAll("button")) other.setAttribute("aria-pressed", "false");
          button.setAttribute("aria-pressed", String(only === group));
          draw();
        },
      },
      swatch,
      groupName(map, group),
      h("span", { class: "muted" }, ` ${number(n)}`),
    );
    legend.append(h("li", {}, button));
  }

  const scale = () => Math.min((width / 2 - 20) / reach(xs), (height / 2 - 20) / reach(ys)) * eye.k;
  let size = 1;
  const px = ([x, y]) => [width / 2 + (x - eye.x) * size, height / 2 - (y - eye.y) * size];
  const at = (i) => (i < map.points.length ? map.points[i] : marked[i - map.points.length].place);
  const count = () => map.points.length + marked.length;
  const passage = (i) => {
    if (i >= map.points.length) return marked[i - map.points.length];
    const [, , group, document, from, to] = map.points[i];
    return { ...map.documents[document], lines: [from, to], group };
  };
  const words = (i) => {
    const one = passage(i);
    const rank = one.rank ? `${one.rank}. ` : "";
    return `${rank}${one.title || one.uri.split("/").at(-1)}, ${where(one.lines)}`;
  };

  function draw() {
    width = frame.clientWidth;
    height = Math.round(Math.min(Math.max(width * 0.62, 280), innerHeight * 0.7));
    const dense = devicePixelRatio || 1;
    size = scale();
    Object.assign(canvas, { width: width * dense, height: height * dense });
    canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    pen.scale(dense, dense);
    const colours = swatches.map((swatch) => getComputedStyle(swatch).backgroundColor);
    const styles = getComputedStyle(canvas);
    const [ink, ground] = [styles.color, styles.backgroundColor];
    const radius = Math.min(map.points.length > 1500 ? 2 : 3.2, 3.2) * Math.min(1 + Math.log10(eye.k), 2);
    const dim = marked.length > 0;
    map.points.forEach((point) => {
      const [x, y] = px(point);
      if (x < -5 || y < -5 || x > width + 5 || y > height + 5) return;
      pen.globalAlpha = only !== null && point[2] !== only ? 0.08 : dim && only === null ? 0.55 : 0.8;
      pen.fillStyle = colours[point[2]];
      pen.beginPath();
      pen.arc(x, y, radius, 0, 7);
      pen.fill();
    });
    pen.globalAlpha = 1;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.font = `600 11px ${styles.fontFamily}`;
    // The best on top.
    for (const hit of [...marked].reverse()) {
      const [x, y] = px(hit.place);
      pen.beginPath();
      pen.arc(x, y, 9, 0, 7);
      pen.fillStyle = ink;
      pen.fill();
      pen.lineWidth = 2;
      pen.strokeStyle = ground;
      pen.stroke();
      pen.fillStyle = ground;
      pen.fillText(String(hit.rank), x, y + 0.5);
    }
    if (shown === null) return (tip.hidden = true);
    const [x, y] = px(at(shown));
    pen.beginPath();
    pen.arc(x, y, shown < map.points.length ? 7 : 13, 0, 7);
    pen.lineWidth = 2.5;
    pen.strokeStyle = ink;
    pen.stroke();
    tip.hidden = false;
    tip.textContent = words(shown);
    const room = width - tip.offsetWidth - 8;
    tip.style.left = `${Math.max(Math.min(x - tip.offsetWidth / 2, room), 8)}px`;
    tip.style.top = `${y > height / 2 ? y - tip.offsetHeight - 16 : y + 16}px`;
  }

  function zoom(by) {
    if (by === 0) Object.assign(eye, home);
    else eye.k = Math.min(Math.max(eye.k * by, 1), MOST);
    if (by > 1 && shown !== null) [eye.x, eye.y] = at(shown);
    if (eye.k === 1) Object.assign(eye, home);
    draw();
  }

  function nearest(x, y) {
    let [best, distance] = [null, NEAR];
    // Those of the question first: they lie on top.
    for (let i = count() - 1; i >= 0; i -= 1) {
      if (i < map.points.length && only !== null && map.points[i][2] !== only) continue;
      const [a, b] = px(at(i));
      const far = Math.hypot(a - x, b - y) - (i >= map.points.length ? 6 : 0);
      if (far < distance) [best, distance] = [i, far];
    }
    return best;
  }

  // The nearest one that lies in this direction.
  function towards(dx, dy) {
    if (shown === null) return marked.length ? map.points.length : nearestTo(width / 2, height / 2);
    const [x, y] = px(at(shown));
    let [best, cost] = [null, Infinity];
    for (let i = 0; i < count(); i += 1) {
      if (i === shown || (i < map.points.length && only !== null && map.points[i][2] !== only)) continue;
      const [a, b] = px(at(i));
      const [along, aside] = [(a - x) * dx + (b - y) * dy, Math.abs((a - x) * dy) + Math.abs((b - y) * dx)];
      if (along < 1) continue;
      const worth = along + 2.5 * aside;
      if (worth < cost) [best, cost] = [i, worth];
    }
    return best ?? shown;
  }
  function nearestTo(x, y) {
    let [best, distance] = [null, Infinity];
    for (let i = 0; i < count(); i += 1) {
      const [a, b] = px(at(i));
      const far = Math.hypot(a - x, b - y);
      if (far < distance) [best, distance] = [i, far];
    }
    return best;
  }

  function visit(i) {
    if (i === null) return;
    shown = i;
    const [x, y] = px(at(i));
    if (x < 0 || y < 0 || x > width || y > height) [eye.x, eye.y] = at(i);
    draw();
    announce(words(i));
  }

  function read(i) {
    if (i === null) return;
    if (i >= map.points.length) open(marked, i - map.points.length, pipeline);
    else open([passage(i)], 0, pipeline);
  }

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = {
      ArrowLeft: () => visit(towards(-1, 0)),
      ArrowRight: () => visit(towards(1, 0)),
      ArrowUp: () => visit(towards(0, -1)),
      ArrowDown: () => visit(towards(0, 1)),
      Enter: () => read(shown),
      " ": () => read(shown),
      "+": () => zoom(1.5),
      "=": () => zoom(1.5),
      "-": () => zoom(1 / 1.5),
      0: () => zoom(0),
      Escape: () => ((shown = null), draw()),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  let drag = null;
  canvas.addEventListener("pointerdown", (event) => (drag = { x: event.offsetX, y: event.offsetY, eye: { ...eye }, moved: false }));
  canvas.addEventListener("pointermove", (event) => {
    if (drag && event.buttons && eye.k > 1) {
      const [dx, dy] = [event.offsetX - drag.x, event.offsetY - drag.y];
      drag.moved ||= Math.hypot(dx, dy) > 4;
      Object.assign(eye, { x: drag.eye.x - dx / size, y: drag.eye.y + dy / size });
      return draw();
    }
    const near = nearest(event.offsetX, event.offsetY);
    canvas.classList.toggle("near", near !== null);
    if (near !== shown) {
      shown = near;
      draw();
    }
  });
  canvas.addEventListener("pointerleave", () => {
    if (document.activeElement !== canvas) ((shown = null), draw());
  });
  canvas.addEventListener("click", (event) => {
    const moved = drag?.moved;
    drag = null;
    if (!moved) read(nearest(event.offsetX, event.offsetY));
  });
  addEventListener("resize", draw, { signal });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw, { signal });
  return {
    whole,
    draw,
    mark(hits) {
      marked = hits.filter((hit) => hit.place);
      shown = null;
      // For tests, and for who looks into the page.
      canvas.dataset.marked = marked.length;
      draw();
    },
  };
}
