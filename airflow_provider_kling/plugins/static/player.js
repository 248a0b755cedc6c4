// The tab on a task instance: its video, what was asked for, its life, its manifest.

import { around, openTheWayOut } from "./airflow.js";
import { ask } from "./api.js";
import { makeClamped } from "./clamp.js";
import { copyButton } from "./copy.js";
import { make, renew, say } from "./dom.js";
import { factNodes, linkNodes, manifestText, whyNodes } from "./player_parts.js";
import { makeMedia } from "./media.js";
import { makeProblemLine } from "./problem.js";
import { makeProgress, progressOf } from "./progress.js";
import { everySecond, keepFresh } from "./refresh.js";
import { promptNodes, titleOf } from "./request.js";
import { sourceOf } from "./source.js";
import { makeStills } from "./stills.js";
import { now } from "./time.js";
import { stepsOf, timelineNode } from "./timeline.js";
import { readQuery } from "./urls.js";
import { asFields, asText } from "./values.js";
import { stateOf } from "./words.js";

const [SOON, LATER, RARELY] = [5, 30, 15]; // seconds: while it renders, when it has ended, when there is no render yet
const STILL_WIDTH = 1280; // pixels

const at = (id) => document.getElementById(id);
const { dag_id, run_id, task_id, map_index = "-1" } = readQuery();
const parts = makeParts();
let render = null;

function makeParts() {
  const part = (tag, name) => make(tag, { class: name });
  return {
    media: makeMedia(makeStills(STILL_WIDTH)),
    badge: part("span", "badge"),
    links: part("span", "links"),
    why: part("div", "why"),
    progress: makeProgress(),
    prompt: makeClamped("prompt"),
    facts: part("dl", "fact-list"),
    life: part("div", "life"),
    manifest: part("pre", "manifest"),
    copyManifest: copyButton("the manifest", () => manifestText(render.card)),
  };
}

function assemble() {
  const { media, badge, links, why, progress, prompt, facts, life, manifest, copyManifest } = parts;
  const section = (title, ...nodes) => make("section", { class: "panel" }, make("h2", { text: title }), ...nodes);
  const under = make("div", { class: "under" }, badge, links);
  return [
    make("div", { class: "player-main" }, media.node, under, progress.node, why),
    make("div", { class: "player-side" }, section("Request", prompt.node, facts), section("Timeline", life)),
    make(
      "details",
      { class: "panel manifest-panel" },
      make("summary", { text: "Manifest" }),
      make("div", { class: "manifest-box" }, copyManifest, manifest),
    ),
  ];
}

async function load(signal) {
  try {
    render = await ask("api/render", { dag_id, run_id, task_id, map_index }, signal);
  } catch (error) {
    if (error.kind !== "missing") throw error;
    noRender();
    return RARELY;
  }
  show();
  return render.state === "rendering" ? SOON : LATER;
}

function noRender() {
  at("player").setAttribute("aria-busy", "false");
  if (render) return; // a clear wipes it out for a while; what was seen may stay
  const text = "This task instance has no Kling render.";
  renew(at("player"), "none", () => [make("p", { class: "quiet-line", text })]);
}

function show() {
  const card = asFields(render.card);
  renew(at("player"), "render", assemble);
  at("player").setAttribute("aria-busy", "false");
  const state = stateOf(render);
  if (parts.badge.textContent && parts.badge.textContent !== state.text) say(at("live"), state.text);
  say(parts.badge, state.text);
  parts.badge.dataset.tone = state.tone;
  parts.media.node.dataset.ratio = asText(card.aspect_ratio);
  parts.prompt.update([card.prompt, card.multi_prompt], () => promptNodes(card));
  renew(parts.facts, card, () => factNodes(card));
  renew(parts.life, stepsOf(render), () => [timelineNode(stepsOf(render))]);
  say(parts.manifest, manifestText(render.card));
  tick();
}

function tick() {
  if (!render) return;
  const source = sourceOf(render, now());
  const isRendering = render.state === "rendering";
  const empty = isRendering ? "The video appears here when it is finished." : "There is no video.";
  parts.media.update(source, titleOf(render.card), source.why?.text ?? empty, isRendering);
  parts.progress.update(isRendering ? progressOf(render.card, now()) : null);
  renew(parts.why, source.why, () => whyNodes(source));
  renew(parts.links, [source.kind, source.url, source.fresh], () => linkNodes(source, around() !== null));
}

openTheWayOut();
keepFresh(load, makeProblemLine(at("problem")));
everySecond(tick);
