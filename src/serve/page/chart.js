// Plots over time: a line, or a band of stages. Their values are read with the pointer or the arrow keys, several plots at once.

import { h, number } from "./dom.js";
import { lang, t } from "./strings.js";

const [HEIGHT, LEFT, RIGHT, BOTTOM, TOP] = [120, 44, 8, 20, 8];
const BAND = 26;
// Rows of a table, at most.
const ROWS = 60;

// What several plots over the same times share: the place that is read, or null for the newest.
export function cursor() {
  const readers = new Set();
  const shared = {
    at: null,
    readers,
    move: (at) => {
      shared.at = at;
      for (const read of readers) read();
    },
  };
  return shared;
}

export const clock = (at) =>
  new Intl.DateTimeFormat(lang(), { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(at * 1000);

// A round number at or above the value, for the axis.
function round(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= value - 1e-9);
}

// A figure whose values can be read. `body` says how many there are, where each lies, what it is, and how all are drawn.
function figure(title, shared, body) {
  const reading = h("span", { class: "reading", "aria-hidden": "true" });
  const area = h("div", { class: "reader", role: "slider", tabindex: "0", label: title, hint: "read_hint", "aria-valuemin": "0" });
  const whole = h("figure", { class: "plot" }, h("figcaption", {}, h("span", { t: title }), reading), area);
  let width = 0;
  function read() {
    const last = body.count() - 1;
    if (last < 0) return;
    const at = shared.at === null ? last : Math.min(shared.at, last);
    const text = body.text(at);
    reading.textContent = text;
    area.setAttribute("aria-valuemax", last);
    area.setAttribute("aria-valuenow", at);
    area.setAttribute("aria-valuetext", text);
    const cross = area.querySelector(".cross");
    if (!cross) return;
    cross.toggleAttribute("hidden", shared.at === null);
    const x = body.x(at, width).toFixed(1);
    cross.setAttribute("x1", x);
    cross.setAttribute("x2", x);
  }
  area.addEventListener("pointermove", (event) => {
    const x = event.clientX - area.getBoundingClientRect().left;
    let best = 0;
    for (let at = 1; at < body.count(); at += 1)
      if (Math.abs(body.x(at, width) - x) < Math.abs(body.x(best, width) - x)) best = at;
    shared.move(best);
  });
  const leave = () => shared.move(null);
  area.addEventListener("pointerleave", leave);
  area.addEventListener("blur", leave);
  area.addEventListener("keydown", (event) => {
    const last = body.count() - 1;
    const at = shared.at ?? last;
    const to = {
      ArrowLeft: at - 1,
      ArrowDown: at - 1,
      ArrowRight: at + 1,
      ArrowUp: at + 1,
      PageDown: at - 10,
      PageUp: at + 10,
      Home: 0,
      End: last,
      Escape: null,
    }[event.key];
    if (to === undefined || last < 0) return;
    event.preventDefault();
    event.stopPropagation();
    shared.move(to === null ? null : Math.min(Math.max(to, 0), last));
  });
  shared.readers.add(read);
  return {
    whole,
    // As wide as where it stands: the letters are as large there as here.
    draw() {
      width = Math.max(area.clientWidth, 200);
      // Numbers and names of our own alone, and no text of a document.
      area.innerHTML = body.draw(width);
      read();
    },
  };
}

const across = (times, at, width) => {
  const [from, until] = [times[0], times.at(-1)];
  return LEFT + ((times[at] - from) / Math.max(until - from, 1)) * (width - LEFT - RIGHT);
};

const ends = (times, name, width, y) =>
  `<text x="${LEFT}" y="${y}">${name(times[0])}</text><text x="${width - RIGHT}" y="${y}" text-anchor="end">${name(times.at(-1))}</text>`;

// A line. `format` says a value, `name` a time; `most` is the top of the axis where that is known.
export function line({ title, shared, format, name = clock, most }) {
  let [times, values] = [[], []];
  const short = (value) => (most === 1 ? format(value) : number(value, { notation: "compact" }));
  const body = {
    count: () => times.length,
    x: (at, width) => across(times, at, width),
    text: (at) => `${values[at] === null ? "–" : format(values[at])} · ${name(times[at])}`,
    draw(width) {
      const known = values.filter((value) => value !== null);
      const top = Math.max(most ?? 0, most && Math.max(...known, 0) <= most ? most : round(Math.max(...known, 0)));
      const y = (value) => TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);
      const grid = [0, 0.5, 1]
        .map((part) => part * top)
        .map(
          (value) =>
            `<line x1="${LEFT}" x2="${width - RIGHT}" y1="${y(value)}" y2="${y(value)}"/><text x="${LEFT - 8}" y="${y(value) + 4}" text-anchor="end">${short(value)}</text>`,
        )
        .join("");
      // Where nothing is known the line has a gap.
      const parts = [[]];
      values.forEach((value, at) => {
        if (value === null) parts.push([]);
        else parts.at(-1).push([body.x(at, width).toFixed(1), y(value).toFixed(1)]);
      });
      const drawn = parts.filter((part) => part.length);
      const paths = drawn.map((part) => `M${part.map((point) => point.join(",")).join("L")}`).join("");
      const areas = drawn
        .map((part) => `M${part[0][0]},${y(0)}L${part.map((point) => point.join(",")).join("L")}L${part.at(-1)[0]},${y(0)}Z`)
        .join("");
      return `<svg viewBox="0 0 ${width} ${HEIGHT}" aria-hidden="true"><g class="grid">${grid}</g><path class="area" d="${areas}"/><path class="line" d="${paths}"/><line class="cross" y1="${TOP}" y2="${y(0)}" hidden/>${ends(times, name, width, HEIGHT - 4)}</svg>`;
    },
  };
  const drawn = figure(title, shared, body);
  return {
    whole: drawn.whole,
    update(at, of) {
      [times, values] = [at, of];
      if (times.length) drawn.draw();
    },
  };
}

// A band that says which stage it was over time.
export function band({ title, shared, stages, name = clock }) {
  let [times, values] = [[], []];
  const words = (stage) => (stage ? t(`stage_${stage}`) : t("no_stage"));
  const body = {
    count: () => times.length,
    x: (at, width) => across(times, at, width),
    text: (at) => `${words(values[at])} · ${name(times[at])}`,
    draw(width) {
      const rects = [];
      for (let from = 0; from < times.length; ) {
        let to = from;
        while (to + 1 < times.length && values[to + 1] === values[from]) to += 1;
        const [left, right] = [body.x(from, width), body.x(Math.min(to + 1, times.length - 1), width)];
        if (values[from])
          rects.push(
            `<rect class="stage-${values[from]}" x="${left.toFixed(1)}" y="${TOP}" width="${Math.max(right - left, 1.5).toFixed(1)}" height="${BAND}"/>`,
          );
        from = to + 1;
      }
      return `<svg viewBox="0 0 ${width} ${TOP + BAND + BOTTOM}" aria-hidden="true"><rect class="ground" x="${LEFT}" y="${TOP}" width="${width - LEFT - RIGHT}" height="${BAND}"/>${rects.join("")}<line class="cross" y1="${TOP}" y2="${TOP + BAND}" hidden/>${ends(times, name, width, TOP + BAND + 16)}</svg>`;
    },
  };
  const drawn = figure(title, shared, body);
  const legend = h("ul", { class: "legend", role: "list" });
  drawn.whole.append(legend);
  return {
    whole: drawn.whole,
    update(at, of) {
      [times, values] = [at, of];
      if (times.length) drawn.draw();
      const shown = stages.filter((stage) => values.includes(stage));
      legend.replaceChildren(
        ...shown.map((stage) => {
          const part = values.filter((value) => value === stage).length / Math.max(values.filter(Boolean).length, 1);
          return h(
            "li",
            {},
            h("span", { class: `swatch stage-${stage}`, "aria-hidden": "true" }),
            `${words(stage)} ${number(part, { style: "percent" })}`,
          );
        }),
      );
    },
  };
}

// The same in words and numbers. `columns()` gives [key, values, format] each, and is asked when the table is opened.
export function table(times, columns) {
  const place = h("div", { class: "data", tabindex: "0", role: "group", label: "as_table" });
  const fill = () => {
    const at = times();
    const step = Math.max(1, Math.ceil(at.length / ROWS));
    const rows = at.map((_, i) => i).filter((i) => (at.length - 1 - i) % step === 0);
    const all = columns();
    place.replaceChildren(
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, h("th", { t: "time", scope: "col" }), ...all.map(([key]) => h("th", { t: key, scope: "col" })))),
        h(
          "tbody",
          {},
          rows
            .reverse()
            .map((i) =>
              h(
                "tr",
                {},
                h("th", { scope: "row" }, clock(at[i])),
                ...all.map(([, values, format]) => h("td", {}, values[i] === null ? "–" : format(values[i]))),
              ),
            ),
        ),
      ),
    );
  };
  const whole = h(
    "details",
    { class: "as-table", ontoggle: () => whole.open && fill() },
    h("summary", { t: "as_table" }),
    place,
  );
  return whole;
}
