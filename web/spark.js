// Small charts of the last hour: what was delivered upwards, what failed downwards, so that no colour is needed.

import { h, svg } from "./dom.js";
import { count, milliseconds, number } from "./text.js";

const UP = 18;
const DOWN = 10;

/** Draws minutes, oldest first, each `{ delivered, failed }`. */
export function sparkline(minutes) {
  const most = Math.max(1, ...minutes.map((minute) => minute.delivered));
  const worst = Math.max(1, ...minutes.map((minute) => minute.failed));
  const bars = minutes.flatMap(({ delivered, failed }, at) => [
    delivered ? bar("delivered", at, UP - height(delivered, most, UP), height(delivered, most, UP)) : null,
    failed ? bar("failed", at, UP + 1, height(failed, worst, DOWN)) : null,
  ]);
  const chart = { class: "spark", viewBox: `0 0 ${Math.max(minutes.length, 1)} ${UP + 1 + DOWN}`, preserveAspectRatio: "none" };
  return svg("svg", { ...chart, role: "img", "aria-label": told(minutes) },
    svg("rect", { class: "axis", x: 0, y: UP, width: Math.max(minutes.length, 1), height: 0.6 }), bars);
}

function bar(name, x, y, tall) {
  return svg("rect", { class: name, x: x + 0.1, y, width: 0.8, height: tall });
}

/** Even one of a thousand can be seen. */
function height(value, most, room) {
  return Math.max(1.5, (value / most) * room).toFixed(2);
}

function told(minutes) {
  const { delivered, failed } = totals(minutes);
  const most = Math.max(0, ...minutes.map((minute) => minute.delivered));
  return `Last hour: ${number(delivered)} delivered, at most ${number(most)} a minute; ${count(failed, "failed attempt")}`;
}

export function totals(minutes) {
  const sum = (key) => minutes.reduce((total, minute) => total + minute[key], 0);
  return { delivered: sum("delivered"), failed: sum("failed") };
}

/** For so many minutes failures are worth a look. */
const RECENT = 5;

/** Not after one bad minute that is over: what failed then was taken since, and nobody is needed. */
export function failsLately(minutes) {
  const failing = minutes.slice(-RECENT).filter((minute) => minute.failed > 0);
  return failing.length > 1 || (failing.length === 1 && failing[0] === minutes.findLast(isBusy));
}

/** Attempts become rare while a receiver is down. So the last ones count as long as something waits for others. */
export function takesNothing(minutes, waiting) {
  const at = minutes.findLastIndex(isBusy);
  return at >= 0 && minutes[at].delivered === 0 && (waiting > 0 || at >= minutes.length - RECENT);
}

/** What waits for clients that may return is not tried either, and that is as it should be. */
export function waitsForLong({ waiting, minutes, definition }) {
  return waiting > 0 && !minutes.some(isBusy) && !definition?.events?.some((rule) => rule.debounce);
}

function isBusy({ delivered, failed }) {
  return delivered + failed > 0;
}

/** Returns the latency of the last minute that has any. */
export function latency(minutes) {
  const last = minutes.findLast((minute) => minute.delivered + minute.failed > 0 && typeof minute.p50_ms === "number");
  if (!last) return h("span", { class: "quiet" }, "no attempts in the last hour");
  return h("span", { title: "Half of the attempts were quicker than the first, 99 of 100 quicker than the second" },
    `${milliseconds(last.p50_ms)} / ${milliseconds(last.p99_ms)}`);
}
