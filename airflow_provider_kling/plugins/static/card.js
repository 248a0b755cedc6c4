// One render in the gallery. Its elements are made once; an update touches only what has changed.

import { makeClamped } from "./clamp.js";
import { copyButton } from "./copy.js";
import { make, renew, say, tell } from "./dom.js";
import { around } from "./airflow.js";
import { makeMedia } from "./media.js";
import { makeProgress, progressOf } from "./progress.js";
import { factsOf, promptNodes, titleOf } from "./request.js";
import { sourceOf } from "./source.js";
import { playerUrl, point, taskUrl } from "./urls.js";
import { asFields, asText, asTime, keyOf } from "./values.js";
import { ago, stateOf } from "./words.js";

/** A card.
 * @param {object} stills gives videos their first frames
 * @returns {object} `node`; `update(render, now)`; `tick(now)` moves what moves by itself; `title()`; `isPlaying()`;
 *   `close()` lets go of its video
 */
export function makeCard(stills) {
  const parts = makeParts(stills);
  const node = assemble(parts);
  let render = null;

  function tick(now) {
    const card = asFields(render.card);
    const source = sourceOf(render, now);
    const isRendering = render.state === "rendering";
    parts.media.update(source, titleOf(card), emptyWords(render, source), isRendering);
    parts.progress.update(isRendering ? progressOf(card, now) : null);
    renew(parts.links, [keyOf(render), render.state, source.kind, source.fresh], () => linkNodes(render, source));
    const created = asTime(card.created_at);
    tell(parts.when, created, created === null ? "" : ago(created, now));
  }

  function update(fresh, now) {
    render = fresh;
    const card = asFields(render.card);
    const state = stateOf(render);
    say(parts.badge, state.text);
    parts.badge.dataset.tone = state.tone;
    parts.prompt.update([card.prompt, card.multi_prompt], () => promptNodes(card));
    say(parts.facts, factsOf(card).join(" · "));
    renew(parts.where, [render.dag_display_name, render.task_id, render.map_index], () => whereNodes(render));
    updateFailure(parts.failure, asText(card.failure));
    renew(parts.store, [card.saved_to], () => storeNodes(asText(card.saved_to)));
    tick(now);
  }

  return {
    node,
    update,
    tick,
    title: () => titleOf(render.card),
    isPlaying: parts.media.isPlaying,
    close: parts.media.close,
  };
}

function makeParts(stills) {
  return {
    media: makeMedia(stills),
    badge: make("span", { class: "badge" }),
    prompt: makeClamped("prompt"),
    facts: make("p", { class: "facts" }),
    where: make("p", { class: "where" }),
    when: make("time", { class: "when" }),
    progress: makeProgress(),
    failure: makeClamped("failure"),
    store: make("div", { class: "store" }),
    links: make("p", { class: "links" }),
  };
}

function assemble({ media, badge, prompt, facts, where, when, progress, failure, store, links }) {
  failure.node.classList.add("failure");
  const top = make("div", { class: "card-top" }, badge, when);
  const body = make("div", { class: "card-body" }, top, prompt.node, progress.node, failure.node, facts, where, store);
  return make("article", { class: "card" }, media.node, body, links);
}

function updateFailure(part, failure) {
  part.node.hidden = !failure;
  part.update([failure], () => [make("p", { dir: "auto", text: failure })]);
}

function emptyWords(render, source) {
  if (source.why) return source.why.text;
  if (render.state === "rendering") return "No video yet";
  return render.state === "failed" ? "No video" : "No video to play here";
}

function whereNodes({ dag_display_name, dag_id, task_id, map_index }) {
  const task = map_index >= 0 ? `${asText(task_id)} [${map_index}]` : asText(task_id);
  return [
    make("span", { class: "dag", dir: "auto", text: asText(dag_display_name) || asText(dag_id) }),
    make("span", { class: "task", text: task }),
  ];
}

function storeNodes(path) {
  if (!path) return [];
  const end = path.split("/").slice(-2).join("/"); // all begin alike
  const short = end.length < path.length ? `…/${end}` : path;
  return [make("code", { text: short, title: path }), copyButton("where it is saved", () => path)];
}

function linkNodes(render, source) {
  const details = make("a", { text: "Details", "data-out": "page" });
  const task = make("a", { text: "Task instance", "data-out": "page" });
  point(details, "href", playerUrl(render, around() !== null));
  point(task, "href", taskUrl(render));
  if (source.kind === "preview" || !source.fresh) return [details, task];
  const fresh = make("a", { text: "Ask for a fresh link", "data-out": "tab", target: "_blank", rel: "noopener" });
  return [details, task, point(fresh, "href", source.fresh)];
}
