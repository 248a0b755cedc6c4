// The first frames of the videos that come near the viewport. A video is opened, its first frame becomes the poster,
// and it is closed again: a page of 4K videos left open would take all memory, and every connection of the browser.

import { point } from "./urls.js";

const AT_ONCE = 4; // of the six connections per host, so that two are left for the page itself
const NEAR = "300px 0px";
const PATIENCE = 20_000; // milliseconds for one frame

/** What gives videos their first frames.
 * @param {number} width of a frame in pixels, at most
 * @returns {{watch: (video, url, failed) => void, forget: (video) => void}}
 */
export function makeStills(width) {
  const wanted = new Map(); // video -> {url, failed}
  const near = new Set();
  const open = new Map(); // video -> what closes it
  const observer = new IntersectionObserver(look, { rootMargin: NEAR });

  function look(entries) {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) near.add(target);
      else leave(target);
    }
    openSome();
  }

  function leave(video) {
    near.delete(video);
    open.get(video)?.();
  }

  function openSome() {
    for (const video of near) {
      if (open.size >= AT_ONCE) return;
      if (!open.has(video) && wanted.has(video)) capture(video);
    }
  }

  function capture(video) {
    const { url, failed } = wanted.get(video);
    const given = new AbortController();
    const close = () => {
      given.abort();
      clearTimeout(timer);
      open.delete(video);
      unload(video);
    };
    const done = () => {
      drop(video);
      close();
      openSome();
    };
    const timer = setTimeout(done, PATIENCE);
    const ready = () => {
      if (video.seeking || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return;
      draw(video, width);
      done();
    };
    for (const event of ["loadeddata", "seeked"]) video.addEventListener(event, ready, { signal: given.signal });
    video.addEventListener("error", () => [done(), failed()], { signal: given.signal });
    open.set(video, close);
    video.preload = "metadata";
    point(video, "src", `${url}#t=0.1`);
  }

  function drop(video) {
    wanted.delete(video);
    near.delete(video);
    observer.unobserve(video);
  }

  return {
    /** Give a video its first frame when it comes near. */
    watch(video, url, failed) {
      wanted.set(video, { url, failed });
      observer.observe(video);
    },
    /** Leave it alone from now on: it is played, or gone. */
    forget(video) {
      drop(video);
      open.get(video)?.();
      openSome();
    },
  };
}

function unload(video) {
  video.removeAttribute("src");
  video.load();
}

function draw(video, width) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.min(width, video.videoWidth);
  canvas.height = Math.round((canvas.width * video.videoHeight) / video.videoWidth);
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  video.poster = canvas.toDataURL("image/jpeg", 0.85);
}
