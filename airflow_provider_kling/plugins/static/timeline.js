// The life of a render: submitted, rendering, finished, saved.

import { make, tell } from "./dom.js";
import { asFields, asNumber, asText, asTime } from "./values.js";
import { moment, size, span } from "./words.js";

/** The steps of a render's life.
 * @returns {{name: string, at: number|null, took: string, note: string, phase: "done"|"now"|"later"|"failed"}[]}
 *   `took`: the time since the step before
 */
export function stepsOf(render) {
  const card = asFields(render.card);
  const steps = [
    step("Submitted", card.submitted_at, submitNote(card)),
    step("Rendering", card.rendering_at, ""),
    step("Finished", card.finished_at, ""),
    ...(saves(render, card) ? [step("Saved", card.saved_at, savedNote(card))] : []),
  ];
  fillIn(steps, render, card);
  const failure = asText(card.failure);
  const told = render.state === "failed" || failure !== "";
  const ended = told ? failed(steps, failure || "The task's log says why.", card) : steps;
  return withSpans(ended);
}

function step(name, at, note) {
  return { name, at: asTime(at), note, phase: "later" };
}

function submitNote({ task_id, status }) {
  if (asText(task_id)) return "";
  return status === "WAITING" ? "Not yet: it stepped aside, and tries again by itself. Nothing is bought." : "";
}

function saves(render, { saved_to, saved_at }) {
  return render.state === "rendering" || Boolean(asText(saved_to)) || asTime(saved_at) !== null;
}

function savedNote({ saved_to, bytes }) {
  const weight = asNumber(bytes);
  return [asText(saved_to), weight === null ? "" : `(${size(weight)})`].filter(Boolean).join(" ");
}

// A later step that is done means that those before it are, even if nobody saw when.
function fillIn(steps, render, { status, saved_to }) {
  const done = {
    Submitted: status === "SUBMITTED" || asText(status).startsWith("TASK_STATUS_"),
    Rendering: status === "TASK_STATUS_PROCESSING" || status === "TASK_STATUS_SUCCEED",
    Finished: status === "TASK_STATUS_SUCCEED",
    Saved: render.state === "finished" && Boolean(asText(saved_to)),
  };
  const reached = steps.findLastIndex(({ name, at }) => at !== null || done[name]);
  steps.forEach((one, index) => (one.phase = index <= reached ? "done" : "later"));
  if (render.state === "rendering" && steps[reached]?.name === "Rendering") steps[reached].phase = "now";
  else if (render.state === "rendering" && steps[reached + 1]) steps[reached + 1].phase = "now";
}

function failed(steps, failure, { updated_at }) {
  const past = steps.filter(({ phase }) => phase === "done");
  return [...past, { name: "Failed", at: asTime(updated_at), note: failure, phase: "failed" }];
}

function withSpans(steps) {
  return steps.map((one, index) => {
    const before = steps.slice(0, index).findLast(({ at }) => at !== null);
    const took = one.at !== null && before && one.at >= before.at ? `after ${span((one.at - before.at) / 1000)}` : "";
    return { ...one, took };
  });
}

/** The steps as an ordered list. */
export function timelineNode(steps) {
  return make("ol", { class: "timeline" }, ...steps.map(stepNode));
}

function stepNode({ name, at, took, note, phase }) {
  const head = make("p", { class: "step-head" }, make("strong", { text: name }));
  if (at !== null) head.append(tell(make("time"), at, moment(at)));
  if (took) head.append(make("span", { class: "took", text: took }));
  if (phase === "later") head.append(make("span", { class: "unseen", text: "not yet" }));
  const current = phase === "now" ? "step" : null;
  const words = note ? make("p", { class: "step-note", dir: "auto", text: note }) : null;
  return make("li", { "data-phase": phase, "aria-current": current }, head, words);
}
