// What was asked for: the prompt or the shots, and the facts of the video.

import { make } from "./dom.js";
import { asFields, asNumber, asShots, asText } from "./values.js";
import { plural, span } from "./words.js";

/** The prompt of a card in one line, for names. */
export function titleOf(card) {
  const { prompt, multi_prompt, task_id } = asFields(card);
  const text = asText(prompt) || asShots(multi_prompt).map((shot) => shot.prompt).join(" / ") || asText(task_id);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text || "a render";
}

/** Length, aspect ratio, sound: ["8 s", "16:9", "with sound"]. */
export function factsOf(card) {
  const { duration, aspect_ratio, sound, multi_prompt } = asFields(card);
  const seconds = asNumber(duration);
  const shots = asShots(multi_prompt).length;
  return [
    seconds === null ? "" : span(seconds),
    asText(aspect_ratio),
    sound === true ? "with sound" : sound === false ? "silent" : "",
    shots ? plural(shots, "shot") : "",
  ].filter(Boolean);
}

/** The prompt or the shots as elements. */
export function promptNodes(card) {
  const { prompt, multi_prompt } = asFields(card);
  const shots = asShots(multi_prompt);
  const text = asText(prompt) || "No prompt is known.";
  if (!shots.length) return [make("p", { class: "prompt", dir: "auto", text })];
  return [make("ol", { class: "shots" }, ...shots.map(shotNode))];
}

function shotNode({ prompt, duration }) {
  const length = duration === null ? null : make("span", { class: "shot-length", text: span(duration) });
  return make("li", {}, length, make("span", { class: "shot-prompt", dir: "auto", text: prompt }));
}
