// How far a running render is: moving every second, though the server only tells it now and then.

import { make, say } from "./dom.js";
import { asFields, asNumber, asText, asTime } from "./values.js";
import { clock, span } from "./words.js";

const NEARLY = 0.99; // only the server knows that it is finished
const SILENT = ["WAITING", "NOT_BOUGHT", "TASK_STATUS_FAILED"]; // nothing is being rendered

/** What to show of a card's progress.
 * @returns {{share: number|null, words: string}|null} `share` from 0 to 1, null when it can't be told; null: nothing
 */
export function progressOf(card, now) {
  const { status, percent, submitted_at, expected_at, updated_at } = asFields(card);
  const begun = asTime(submitted_at);
  if (begun === null || SILENT.includes(asText(status))) return null;
  if (status === "TASK_STATUS_SUCCEED") return { share: null, words: "Rendered; the video is being fetched." };
  const [end, seen] = [asTime(expected_at), asTime(updated_at) ?? begun];
  const told = Math.min(asNumber(percent) ?? 0, 100) / 100;
  const share = end !== null && end > begun ? moved(told, told ? seen : begun, end, now) : told || null;
  const parts = [share === null ? "" : `${Math.floor(share * 100)} %`, `${span((now - begun) / 1000)} so far`];
  return { share, words: [...parts, ending(end, now)].filter(Boolean).join(" · ") };
}

// From what was told when, straight on to the expected end.
function moved(told, since, end, now) {
  const passed = end > since ? Math.max(0, now - since) / (end - since) : 1;
  return Math.min(NEARLY, told + (1 - told) * passed);
}

function ending(end, now) {
  if (end === null) return "";
  if (end <= now) return `expected at ${clock(end)}, takes longer`;
  return `ready in about ${span((end - now) / 1000)}, at ${clock(end)}`;
}

/** A bar with its words; `update` moves it. */
export function makeProgress() {
  const bar = make("progress", { max: 1, "aria-label": "Progress of the render" });
  const words = make("p", { class: "progress-words" });
  const node = make("div", { class: "progress", hidden: "" }, bar, words);
  function update(progress) {
    node.hidden = progress === null;
    if (progress === null) return;
    if (progress.share === null) bar.removeAttribute("value");
    else bar.value = progress.share;
    say(words, progress.words);
  }
  return { node, update };
}
