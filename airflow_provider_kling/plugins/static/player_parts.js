// The parts of the player that are made anew whenever what they show changes.

import { copyButton } from "./copy.js";
import { make } from "./dom.js";
import { ourUrl, point } from "./urls.js";
import { asFields, asNumber, asText } from "./values.js";
import { size, span } from "./words.js";

const MANIFEST = [
  "task_id", "status", "model", "prompt", "multi_prompt", "duration", "aspect_ratio", "sound", "video_url",
  "video_type", "video_url_expires_at", "submitted_at", "finished_at", "saved_to", "bytes", "sha256",
];

/** The manifest, as the task returns it, in JSON. */
export function manifestText(card) {
  const fields = asFields(card);
  return JSON.stringify(Object.fromEntries(MANIFEST.map((name) => [name, fields[name] ?? null])), null, 2);
}

/** What was asked for and what came of it, as <dt> and <dd>. */
export function factNodes(card) {
  const { task_id, model, negative_prompt, duration, aspect_ratio, cfg_scale, sound, saved_to, bytes } = asFields(card);
  const [seconds, weight, scale] = [asNumber(duration), asNumber(bytes), asNumber(cfg_scale)];
  const facts = [
    ["Avoid", asText(negative_prompt)],
    ["Length", seconds === null ? "" : span(seconds)],
    ["Aspect ratio", asText(aspect_ratio)],
    ["cfg_scale", scale === null ? "" : String(scale)],
    ["Sound", sound === true ? "yes" : sound === false ? "no" : ""],
    ["Model", asText(model)],
    ["Size", weight === null ? "" : size(weight)],
    ["task_id", asText(task_id), "the task id"],
    ["Saved to", asText(saved_to), "where it is saved"],
  ];
  return facts.filter(([, text]) => text).flatMap(factPair);
}

function factPair([name, text, copied]) {
  const value = make("dd", { dir: "auto" }, copied ? make("code", { text }) : make("span", { text }));
  if (copied) value.append(" ", copyButton(copied, () => text));
  return [make("dt", { text: name }), value];
}

/** Why the video can't be played here, and what can be done about it. */
export function whyNodes({ why, kind }) {
  if (!why) return [];
  return [make("p", { text: kind === "none" ? why.todo : `${why.text} ${why.todo}` })];
}

/** The ways on from here: the video alone, a fresh link, all renders. */
export function linkNodes({ kind, url, fresh }, framed) {
  const tab = (text, target) => {
    const link = make("a", { text, "data-out": "tab", target: "_blank", rel: "noopener noreferrer" });
    return point(link, "href", target);
  };
  const all = make("a", { text: "All Kling renders", "data-out": "page" });
  return [
    kind === "none" ? null : tab("Open the video in a tab", url),
    fresh ? tab("Ask the service for a fresh link", fresh) : null,
    point(all, "href", framed ? "../plugin/kling-renders" : ourUrl("gallery")),
  ];
}
