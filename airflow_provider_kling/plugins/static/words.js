// States, lengths, times and sizes in words.

import { zoned } from "./time.js";
import { asFields, asText } from "./values.js";

const WAITING = {
  WAITING: "Waiting to submit",
  SUBMITTED: "Submitted",
  NOT_BOUGHT: "Not bought",
  UNCERTAIN: "Uncertain",
  TASK_STATUS_QUEUED: "Queued",
  TASK_STATUS_PROCESSING: "Rendering",
  TASK_STATUS_SUCCEED: "Fetching",
  TASK_STATUS_FAILED: "Failed",
};
const ENDED = { skipped: "Skipped", removed: "Removed", upstream_failed: "Upstream failed" };

/** What a badge says of a render, and in which colour. */
export function stateOf(render) {
  if (render.state === "finished") return { text: "Finished", tone: "success" };
  if (render.state === "failed") return { text: ENDED[render.ti_state] ?? "Failed", tone: "failed" };
  if (render.ti_state === "up_for_retry") return { text: "Will be retried", tone: "retry" };
  const status = asText(asFields(render.card).status);
  const tone = status === "TASK_STATUS_PROCESSING" || status === "TASK_STATUS_SUCCEED" ? "running" : "queued";
  return { text: Object.hasOwn(WAITING, status) ? WAITING[status] : "Rendering", tone };
}

/** A length of time: "8 s", "1 min 20 s", "2 h 5 min". */
export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (hours) return minutes ? `${count(hours)} h ${minutes} min` : `${count(hours)} h`;
  if (minutes) return rest ? `${minutes} min ${rest} s` : `${minutes} min`;
  return `${rest} s`;
}

/** A time of day: "14:05". */
export function clock(ms) {
  return zoned(ms).slice(11, 16);
}

/** A date and time, the way Airflow writes them: "2026-11-22 14:05:09". */
export function moment(ms) {
  return zoned(ms).replace("T", " ");
}

/** How long ago: "just now", "3 min ago", "5 days ago"; a date after a month. */
export function ago(ms, now) {
  const seconds = (now - ms) / 1000;
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  if (seconds < 30 * 86_400) return plural(Math.floor(seconds / 86_400), "day", "ago");
  return moment(ms).slice(0, 10);
}

const NUMBERS = new Intl.NumberFormat("en");

/** A number with its thousands apart. */
export function count(number) {
  return NUMBERS.format(number);
}

/** "1 clip", "2 clips", "5 days ago". */
export function plural(number, noun, after = "") {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"} ${after}`.trim();
}

/** A size: "48.2 MB". */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  const power = Math.min(4, Math.floor(Math.log10(bytes) / 3));
  return `${(bytes / 1000 ** power).toFixed(1)} ${["", "kB", "MB", "GB", "TB"][power]}`;
}
