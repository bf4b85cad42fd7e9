/* Numbers and times as people read them. */

import { page, say } from "./page.js";

const LOCALE = page.language === "zh" ? "zh-CN" : "en-GB";
const CLOCK = new Intl.DateTimeFormat(LOCALE, {
  month: "short", day: "numeric", weekday: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false,
});
const WHEN = new Intl.DateTimeFormat(LOCALE, {
  month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false,
});

/** An age in its largest unit: 3 秒, 12 分, 5 小时. */
export function age(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return say("age", "seconds", { n: seconds });
  if (seconds < 3600) return say("age", "minutes", { n: Math.floor(seconds / 60) });
  if (seconds < 172800) return say("age", "hours", { n: Math.floor(seconds / 3600) });
  return say("age", "days", { n: Math.floor(seconds / 86400) });
}

/** A running time: 00:42, 1:05:09. */
export function elapsed(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return hours ? `${hours}:${rest}` : rest;
}

export const clock = (ms) => CLOCK.format(ms);
export const when = (ms) => WHEN.format(ms);

/** A scaled integer in its unit; "" where there is none. */
export function quantity(value, scale, unit) {
  if (value === null || value === undefined || !unit) return "";
  const shown = (value * 10 ** scale).toLocaleString(LOCALE, { maximumFractionDigits: Math.min(2, Math.max(0, -scale)) });
  return `${shown} ${unit}`;
}

/** Where something is, in words: a place, one of the gateway's own parts, or what died with all its points. */
export function where(item) {
  const own = page.words.own[item.point];
  if (own) return own;
  if (item.point.startsWith("out-")) return say("own", "output", { name: item.point.slice(4) });
  if (item.point.startsWith("gw-node-")) return say("own", "node", { name: item.point.slice(8) });
  if (item.place || !item.point) return item.place || item.zone_name;
  if (item.class !== "fault") return item.point;
  return say("own", item.point.includes("/") ? "unit" : "bus", { name: item.point });
}
