/* Numbers, times and places as people read them. */

import { has, page, say } from "./page.js";

const LOCALE = page.language === "zh" ? "zh-CN" : "en-GB";
const CLOCK = new Intl.DateTimeFormat(LOCALE, {
  month: "short", day: "numeric", weekday: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false,
});

/** An age in its largest unit: 3 秒, 12 分钟, 5 小时. */
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

/** A scaled integer in its unit; "" where there is none. */
export function quantity(item) {
  if (!item || item.value === null || item.value === undefined || !item.unit) return "";
  const digits = Math.min(2, Math.max(0, -item.scale));
  return `${(item.value * 10 ** item.scale).toLocaleString(LOCALE, { maximumFractionDigits: digits })} ${item.unit}`;
}

/** Where something is, in words: a place, one of the gateway's own parts, or what died with all its points. */
export function where(item) {
  if (has("own", item.point)) return say("own", item.point);
  if (item.point.startsWith("out-")) return say("own", "output", { name: item.point.slice(4) });
  if (item.point.startsWith("gw-contact-")) return say("own", "contact", { name: item.point.slice(11) });
  if (item.point.startsWith("gw-node-")) return say("own", "node", { name: item.point.slice(8) });
  if (item.place || !item.point) return item.place || item.zone_name;
  if (item.class !== "fault") return item.point;
  return say("own", item.point.includes("/") ? "unit" : "bus", { name: item.point });
}
