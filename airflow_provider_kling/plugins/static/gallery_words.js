// What the gallery says about all that is shown, and when there is nothing to show.

import { make } from "./dom.js";
import { asFields, asNumber } from "./values.js";
import { count, plural, span } from "./words.js";

const EXAMPLE = `from airflow_provider_kling.operators.kling import KlingTextToVideoOperator

KlingTextToVideoOperator(
    task_id="clip",
    prompt="A paper boat on a rainy street, evening light",
    save_to="s3://bucket/videos/boat.mp4",
)`;

/** "57 clips · 4 min 45 s of video · 2 rendering · 50 finished · 5 failed". */
export function totalsText({ clips, seconds, by_state }) {
  const states = Object.entries(asFields(by_state)).filter(([, number]) => asNumber(number));
  const parts = [plural(asNumber(clips) ?? 0, "clip"), `${span(asNumber(seconds) ?? 0)} of video`];
  return [...parts, ...states.map(([state, number]) => `${count(asNumber(number))} ${state}`)].join(" · ");
}

/** No render at all: how to make one. */
export function nothingYet() {
  return [
    make(
      "div",
      { class: "empty" },
      make("h2", { text: "No Kling renders yet" }),
      make("p", { text: "Run a DAG with a KlingTextToVideoOperator, and its video appears here by itself:" }),
      make("pre", { text: EXAMPLE }),
    ),
  ];
}

/** A filter that leaves nothing. */
export function nothingFound() {
  return [
    make(
      "div",
      { class: "empty" },
      make("h2", { text: "No render matches the filter" }),
      make("p", { text: "Choose other words, another DAG, state or time, or clear the filter." }),
    ),
  ];
}
