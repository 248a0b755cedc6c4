// The gallery: a page of cards that follows what is being rendered.

import { openTheWayOut } from "./airflow.js";
import { ask } from "./api.js";
import { makeCard } from "./card.js";
import { make, renew, say } from "./dom.js";
import { isFiltered, makeFilters } from "./filters.js";
import { nothingYet, nothingFound, totalsText } from "./gallery_words.js";
import { makePaging, PAGE_SIZE } from "./paging.js";
import { makeProblemLine } from "./problem.js";
import { everySecond, keepFresh } from "./refresh.js";
import { makeStills } from "./stills.js";
import { sourceOf } from "./source.js";
import { now } from "./time.js";
import { keyOf } from "./values.js";
import { stateOf } from "./words.js";

const [SOON, LATER] = [5, 30]; // seconds between two looks: while something is rendered, and otherwise
const TOTALS_AGE = 60_000; // milliseconds: the totals are dear, and change with the cards only
const STILL_WIDTH = 640; // pixels: as wide as a card gets

const at = (id) => document.getElementById(id);
const cards = new Map(); // key -> {card, json}
const stills = makeStills(STILL_WIDTH);
const filters = makeFilters(at("filters"), anew);
const paging = makePaging(at("paging"), filters.turnTo);
let counted = { filter: "", seen: "", at: 0 };

async function load(signal) {
  const filter = filters.value();
  const asked = { ...filters.params(), limit: PAGE_SIZE, offset: (filter.page - 1) * PAGE_SIZE };
  const { renders, total } = await ask("api/renders", asked, signal);
  const last = Math.max(1, Math.ceil(total / PAGE_SIZE));
  if (filter.page > last) {
    filters.turnTo(last); // asks anew
    return LATER;
  }
  show(renders, total, filter);
  await count(signal, filter, renders, total);
  return renders.some((render) => render.state === "rendering") ? SOON : LATER;
}

function show(renders, total, filter) {
  const wanted = renders.map((render) => [keyOf(render), render]);
  const keys = new Set(wanted.map(([key]) => key));
  for (const [key, { card }] of cards) if (!keys.has(key) && !card.isPlaying()) remove(key, card);
  wanted.forEach(([key, render], index) => place(key, render, index));
  paging.update(filter.page, renders.length, total);
  renew(at("empty"), [renders.length, isFiltered(filter)], () =>
    renders.length ? [] : isFiltered(filter) ? nothingFound() : nothingYet(),
  );
  const hint = hintOf(renders);
  renew(at("hint"), hint, () => [hint ? make("p", { class: "hint", text: hint }) : null]);
}

// A node that stands right is not moved: moving one would stop its video.
function place(key, render, index) {
  const json = JSON.stringify(render);
  const known = cards.get(key);
  const card = known?.card ?? makeCard(stills);
  if (known?.json !== json) card.update(render, now());
  if (known && stateOf(render).text !== known.state) say(at("live"), `${stateOf(render).text}: ${card.title()}`);
  cards.set(key, { card, json, state: stateOf(render).text });
  const there = at("grid").children[index] ?? null;
  if (there !== card.node) at("grid").insertBefore(card.node, there);
}

function remove(key, card) {
  card.close();
  card.node.remove();
  cards.delete(key);
}

async function count(signal, filter, renders, total) {
  const { page, ...asked } = filter;
  const mine = { filter: JSON.stringify(asked), seen: JSON.stringify([total, ...renders.map((r) => r.state)]) };
  const old = now() - counted.at > TOTALS_AGE;
  if (!old && counted.filter === mine.filter && counted.seen === mine.seen) return;
  const totals = await ask("api/totals", filters.params(), signal);
  counted = { ...mine, at: now() };
  say(at("totals"), totalsText(totals));
  if (Array.isArray(totals.dags)) filters.offer(totals.dags);
}

// What an administrator can do about videos that are saved but can't be played: said once for the page.
function hintOf(renders) {
  const why = renders.map((render) => sourceOf(render, now()).why).find((reason) => reason?.admin);
  return why ? `${why.text} ${why.todo}` : "";
}

function anew() {
  at("grid").setAttribute("aria-busy", "true");
  refresh();
}

openTheWayOut();
const problem = makeProblemLine(at("problem"));
const refresh = keepFresh(load, (error) => {
  at("grid").setAttribute("aria-busy", "false");
  problem(error);
});
everySecond(() => cards.forEach(({ card }) => card.tick(now())));
