// Throughput over time, as an SVG.

import { h, number, seconds } from "./dom.js";
import { t } from "./strings.js";

const [HEIGHT, LEFT, BOTTOM, TOP] = [170, 44, 22, 8];
// Points that are drawn, at most: of a long run each stands for several.
const POINTS = 240;

// A round number at or above the value, for the axis.
function round(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= value);
}

// Of samples [seconds, total], the rate in each step. A total that shrinks has begun anew.
export function rates(samples) {
  const every = Math.max(1, Math.ceil(samples.length / POINTS));
  const kept = samples.filter((_, i) => i % every === 0 || i === samples.length - 1);
  return kept.slice(1).map(([at, total], i) => {
    const [before, less] = kept[i];
    return [at, Math.max(0, (total - less) / Math.max(at - before, 0.05))];
  });
}

// As wide as where it will stand: the letters are as large there as here.
export function plot(samples, room) {
  const width = Math.max(room, 240);
  const points = rates(samples);
  const figure = h("figure", { class: "plot" });
  const until = Math.max(points.at(-1)?.[0] ?? 1, 1);
  const most = Math.max(...points.map(([, rate]) => rate), 0);
  const top = round(most);
  const x = (at) => LEFT + (at / until) * (width - LEFT - 8);
  const y = (rate) => TOP + (1 - rate / top) * (HEIGHT - TOP - BOTTOM);
  const line = points.map(([at, rate]) => `${x(at).toFixed(1)},${y(rate).toFixed(1)}`);
  const ground = y(0);
  const area = line.length
    ? `M${x(points[0][0]).toFixed(1)},${ground}L${line.join("L")}L${x(until).toFixed(1)},${ground}Z`
    : "";
  const grid = [0, 0.5, 1]
    .map(
      (part) =>
        `<line x1="${LEFT}" x2="${width - 8}" y1="${y(top * part)}" y2="${y(top * part)}"/><text x="${LEFT - 8}" y="${y(top * part) + 4}" text-anchor="end">${number(top * part, { notation: "compact" })}</text>`,
    )
    .join("");
  const now = points.at(-1)?.[1] ?? 0;
  const label = t("throughput_label", {
    time: seconds(until),
    now: number(now, { maximumFractionDigits: 0 }),
    most: number(most, { maximumFractionDigits: 0 }),
  });
  // Numbers alone, and no text of a document.
  figure.innerHTML = `<svg viewBox="0 0 ${width} ${HEIGHT}" role="img"><g class="grid">${grid}</g><path class="area" d="${area}"/><path class="line" d="${line.length ? `M${line.join("L")}` : ""}"/><text class="time" x="${width - 8}" y="${HEIGHT - 4}" text-anchor="end">${seconds(until)}</text></svg>`;
  figure.firstElementChild.setAttribute("aria-label", label);
  figure.append(h("figcaption", { t: "throughput" }));
  return figure;
}
