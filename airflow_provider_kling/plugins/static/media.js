// The frame that a video plays in: its first frame and a play button, or words where there is nothing to play.

import { make, renew, say } from "./dom.js";
import { serviceWords } from "./source.js";
import { point } from "./urls.js";

let playing = null; // one at a time

/** A frame for a video.
 * @param {{watch: Function, forget: Function}} stills gives it its first frame
 */
export function makeMedia(stills) {
  // Muted only while it shows its first frame; nothing is loaded before somebody wants to see it.
  const video = make("video", { preload: "none", playsinline: "", muted: "", hidden: "" });
  const play = make("button", { class: "play", type: "button", hidden: "", on: { click: start } });
  const words = make("p", { class: "media-words" });
  const node = make("div", { class: "media", "data-kind": "none" }, video, words, play);
  let shown = { kind: "none", url: null };

  function start() {
    stills.forget(video);
    play.hidden = true;
    node.classList.add("playing");
    Object.assign(video, { controls: true, muted: false, preload: "auto" });
    point(video, "src", shown.url);
    video.play().catch(() => {}); // whatever is wrong also fires "error"
    video.focus();
  }

  function stop() {
    stills.forget(video);
    node.classList.remove("playing");
    video.controls = false;
    video.removeAttribute("src");
    video.removeAttribute("poster");
    video.load();
  }

  function fail() {
    stop();
    Object.assign(video, { hidden: true });
    play.hidden = true;
    node.classList.add("broken");
    say(words, shown.kind === "preview" ? "The saved video can't be played." : "The service's video can't be played.");
  }

  video.addEventListener("error", () => node.classList.contains("playing") && fail());
  video.addEventListener("play", () => {
    if (playing !== video) playing?.pause();
    playing = video;
  });

  function show(source, title) {
    stop();
    node.classList.remove("broken");
    shown = source;
    node.dataset.kind = source.kind;
    video.hidden = play.hidden = source.kind === "none";
    video.setAttribute("aria-label", title);
    if (source.kind === "preview") stills.watch(video, source.url, fail);
  }

  return {
    node,
    isPlaying: () => node.classList.contains("playing") && !video.paused,
    /** Show another source, unless it is the same one or one is being played.
     * @param {object} source what source.js decided
     * @param {string} title what it is a video of
     * @param {string} empty what to say when there is nothing to play
     * @param {boolean} coming whether a video is on its way
     */
    update(source, title, empty, coming) {
      const other = source.url !== shown.url || source.kind !== shown.kind;
      if (other && !node.classList.contains("playing")) show(source, title);
      node.classList.toggle("coming", coming && shown.kind === "none");
      play.setAttribute("aria-label", `Play: ${title}`);
      if (node.classList.contains("broken")) return;
      renew(words, [shown.kind, shown.until, empty], () => [
        document.createTextNode(shown.kind === "none" ? empty : shown.kind === "service" ? serviceWords(shown) : ""),
      ]);
    },
    /** Let go of the video: its card is gone. */
    close: stop,
  };
}
