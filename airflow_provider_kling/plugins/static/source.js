// Where a render's video can be played from, and what to say when it can't.

import { asFields, asText, asTime } from "./values.js";
import { clock } from "./words.js";
import { outsideUrl, routeUrl } from "./urls.js";

const NO_VIDEO = ["TASK_STATUS_FAILED", "NOT_BOUGHT", "WAITING"]; // nothing that the service could give a link to
const WHY = {
  off: {
    admin: true,
    text: "Saved copies are not played here, only the service's, until its links die within the hour.",
    todo:
      "An administrator can turn it on: set preview_roots in the section [kling] of airflow.cfg to the folder they are " +
      "saved in, such as /data/videos or s3://connection@bucket/videos, and restart the API server.",
  },
  outside: {
    admin: true,
    text: "Saved outside of the folders that may be played from here.",
    todo:
      "An administrator can add its folder to preview_roots in the section [kling] of airflow.cfg, and restart the API " +
      "server.",
  },
  not_saved: {
    text: "The video is not saved; the service keeps it for a while.",
    todo: "The service's links die within the hour. Set save_to on the task to keep its videos.",
  },
};

/** Decide where to play a render from.
 * @returns {{kind: "preview"|"service"|"none", url: string|null, until: number|null, fresh: string|null,
 *   why: {text: string, todo: string, admin?: boolean}|null}} `until`: when the service's link dies (ms); `fresh`: the
 *   page that asks the service for a new link; `admin`: only an administrator can do something about it
 */
export function sourceOf(render, now) {
  const card = asFields(render.card);
  const preview = routeUrl(render.preview, "preview");
  const service = outsideUrl(card.video_url);
  const until = asTime(card.video_url_expires_at);
  const alive = service !== null && (until === null || now < until);
  const kind = preview ? "preview" : alive ? "service" : "none";
  return {
    kind,
    url: preview ?? (alive ? service : null),
    until: kind === "service" ? until : null,
    fresh: NO_VIDEO.includes(card.status) || render.state === "rendering" ? null : routeUrl(render.video, "video"),
    why: kind !== "preview" && asText(card.saved_to || card.video_url) ? (WHY[render.why_no_preview] ?? null) : null,
  };
}

/** What stands under a play button that leads away from Airflow. */
export function serviceWords({ until }) {
  return until === null ? "Plays from the service" : `Plays from the service, until ${clock(until)}`;
}
