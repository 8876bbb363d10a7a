// What a route of the policy decides about a request: whether its body fits the schema, and whether what cannot be inspected
// passes all the same. Goes on from request.ts; same rules.
//
// A request that passes uninspected is limited like any other and counts as one against the budgets on requests; a tier
// that has others cannot allow it (policy/routes.ts refuses such a policy).
import { applyBudgets, bound } from "./budget/amounts";
import { Report, Schema } from "./inspect/schema";
import { isApiPath, isOddPath, withoutQuery } from "./inspect/prompt-shape";
import { Tape } from "./json/tape";
import { Key, Policy, Route, Tier } from "./policy/policy";
import { Action } from "./proxy-wasm/abi";
import { property } from "./proxy-wasm/host";
import { announcesNoBody, connects, contentLength, method, upgrade } from "./request-headers";
import { reserve } from "./request-budget";
import { goOn, refuse } from "./request-ends";
import { emptyBody, misfit, modelUnknown, oddPath, unsupportedUpgrade } from "./refusals";
import { is, isFolded, lit, NONE, startsWith } from "./slice";
import { Stream } from "./stream";
import { Reason } from "./verdicts.gen";

/** Only opens what policies keep. */
const schema = new Schema(0);
/** One problem is told: room for its pointer, its value and a list of 24 values or names, of which each is cut to 60 bytes. */
const report = new Report(1, 2304);

const REQUEST_PROTOCOL = lit("request\0protocol");

/** Whether the request that wants to switch protocols may: a WebSocket's opening, where the policy lets it pass. */
export function judgeUpgrade(stream: Stream): Reason {
  const route = stream.route ? changetype<Route>(stream.route) : null;
  if (route == null || !route.upgrades) return unsupportedUpgrade();
  // A body would go upstream unseen if the upstream does not switch.
  const opens = isFolded(upgrade, "websocket") && is(method, "GET") && !connects;
  if (!opens || !announcesNoBody()) return unsupportedUpgrade();
  stream.uninspected = true;
  return Reason.None;
}

/** A request of which nothing is looked at but its headers goes on, counted as one. `size`: of its body. */
export function passUninspected(stream: Stream, tier: Tier, size: i32): Action {
  if (stream.key && changetype<Key>(stream.key).models != NONE) return refuse(stream, modelUnknown());
  if (applyBudgets(stream, tier) == 0) return goOn(stream);
  bound(stream, tier, null, 0, 0);
  return reserve(stream, tier, size);
}

/** A request without a body goes on, not charged; where a body would have been inspected, there has to be one. */
export function passBodiless(stream: Stream): Action {
  // Nothing is there to be looked at.
  stream.uninspected = false;
  return needsBody(stream) ? refuse(stream, emptyBody()) : goOn(stream);
}

/** Whether the request says nothing without a body: a POST to a known API, or to a path that has a schema. */
function needsBody(stream: Stream): bool {
  if (!stream.isPost) return false;
  return isApiPath(stream.path) || (stream.route != 0 && changetype<Route>(stream.route).schema != 0);
}

/**
 * nginx: whether it is sure from the headers that the body does not come which there has to be, as then no callback does. A
 * body of chunks that turns out to be empty, or one over HTTP/2 whose length is not told, cannot be told from a full one.
 */
export function lacksBody(stream: Stream): bool {
  if (!announcesNoBody() || !needsBody(stream)) return false;
  return contentLength != NONE || startsWith(property(REQUEST_PROTOCOL), "HTTP/1.");
}

/** Whether the body fits what the policy says of its path. */
export function checkRoute(stream: Stream, tape: Tape): Reason {
  if (stream.route == 0) {
    const routed = changetype<Policy>(stream.policy).routeCount > 0;
    return routed && isOddPath(withoutQuery(stream.path)) ? oddPath() : Reason.None;
  }
  const route = changetype<Route>(stream.route);
  if (route.schema == 0) return Reason.None;
  schema.open(route.schema);
  report.reset();
  return schema.check(tape, tape.root, report) > 0 ? misfit(report) : Reason.None;
}
