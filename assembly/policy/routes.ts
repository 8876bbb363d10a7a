// What a policy says of single paths: compiles `routes`, and finds the one that holds for a request.
//
// A schema of a route is read once, while configuring, and kept in the policy's block (inspect/schema-rules.ts); what it
// does not support is refused with its path in the policy. Paths are compared without their query, without regard
// to ASCII case and to slashes at their end, so that writing a path in another way does not lead past its schema; what
// servers could read as another path (`%2f`, `//`, dot segments) fits none.
import { Rules } from "../inspect/schema-rules";
import { plainPath } from "../inspect/prompt-shape";
import { Tape } from "../json/tape";
import { ROUTE_SCHEMA_VALUES_MAX } from "../limits";
import { endOf, eq, fold, lenOf, NONE, ptrOf, slice, Slice, sub } from "../slice";
import { take } from "./block";
import { Meter, Policy, Route, Tier } from "./policy";
import { problem } from "./problems";
import { choice, count, first, list, member, textOf } from "./read";

const reader = new Rules(ROUTE_SCHEMA_VALUES_MAX);

export function compileRoutes(tape: Tape, routes: i32, policy: Policy): void {
  policy.routeCount = count(tape, routes);
  policy.routes = take(<usize>policy.routeCount * offsetof<Route>());
  let node = first(tape, routes);
  for (let i = 0; i < policy.routeCount; i++, node = tape.next(node)) {
    const route = policy.route(i);
    const path = member(tape, node, "path");
    route.path = textOf(tape.raw(path));
    lower(route.path);
    route.tiers = list(tape, member(tape, node, "tiers"));
    checkTiers(tape, member(tape, node, "tiers"), policy);
    if (isShadowed(policy, i))
      problem(tape, path, "a path that entries before this one do not take for all its tiers");
    const schema = member(tape, node, "schema");
    if (schema >= 0) compileSchema(tape, schema, route);
    compileAllowed(tape, node, route, policy);
  }
}

function lower(text: Slice): void {
  for (let i = 0; i < lenOf(text); i++) store<u8>(ptrOf(text) + i, fold(load<u8>(ptrOf(text) + i)));
}

function checkTiers(tape: Tape, tiers: i32, policy: Policy): void {
  for (let n = first(tape, tiers); n >= 0; n = tape.next(n)) {
    let known = false;
    for (let i = 0; i < policy.tierCount; i++) known = known || eq(policy.tier(i).name, tape.raw(n));
    if (!known) problem(tape, n, "the name of a tier in `tiers`");
  }
}

/** Whether entries before the `i`th take all its requests, so that it could never hold. */
function isShadowed(policy: Policy, i: i32): bool {
  const route = policy.route(i);
  let shadowed = false;
  for (let t = 0; t < policy.tierCount; t++) {
    const tier = policy.tier(t);
    if (!route.holdsFor(tier)) continue;
    shadowed = true;
    let taken = false;
    for (let j = 0; j < i && !taken; j++)
      taken = policy.route(j).holdsFor(tier) && covers(policy.route(j).path, route.path);
    if (!taken) return false;
  }
  return shadowed;
}

/** Whether every path that fits `pattern` fits `wider`. */
function covers(wider: Slice, pattern: Slice): bool {
  if (load<u8>(endOf(pattern) - 1) != 42) return fits(withoutSlashes(pattern), wider);
  return load<u8>(endOf(wider) - 1) == 42 && fits(pattern, wider);
}

function compileSchema(tape: Tape, node: i32, route: Route): void {
  const raw = tape.raw(node);
  const text = take(<usize>lenOf(raw));
  memory.copy(text, ptrOf(raw), lenOf(raw));
  if (reader.load(text, lenOf(raw))) {
    route.schema = take(reader.savedBytes);
    reader.save(route.schema);
  } else if (reader.errorNode < 0) problem(tape, node, "a schema of at most 2048 values and keys");
  // The schema's values stand in the policy's document in the same order.
  else problem(tape, node + reader.errorNode, reader.expected);
}

function compileAllowed(tape: Tape, node: i32, route: Route, policy: Policy): void {
  const media = member(tape, node, "other_media");
  const upgrades = member(tape, node, "upgrades");
  route.otherMedia = choice(tape, media, "allow");
  route.upgrades = choice(tape, upgrades, "allow");
  if (route.otherMedia && route.schema) {
    problem(tape, media, "deny, as this route has a schema, which bodies of other media would pass by");
  }
  for (let i = 0; i < policy.tierCount; i++) {
    const tier = policy.tier(i);
    if (!route.holdsFor(tier)) continue;
    if (!countsRequestsOnly(tier)) {
      if (route.otherMedia) problem(tape, media, UNCOUNTABLE);
      if (route.upgrades) problem(tape, upgrades, UNCOUNTABLE);
      return;
    }
    if (tier.redactsPrompt) {
      if (route.otherMedia) problem(tape, media, UNREDACTED);
      if (route.upgrades) problem(tape, upgrades, UNREDACTED);
      return;
    }
    if (route.upgrades && tier.redacts) {
      problem(tape, upgrades, "deny, as a tier of this route redacts answers: name others in `tiers`");
      return;
    }
  }
}

const UNREDACTED =
  "deny, as a tier of this route redacts prompts, which such a request would pass by: name others in `tiers`";
const UNCOUNTABLE =
  "deny, as a tier of this route has a budget on tokens, on cost or on single models, which such a request could not be held against: name others in `tiers`";

/** Whether every budget of the tier can be charged without knowing what is in a request. */
function countsRequestsOnly(tier: Tier): bool {
  for (let i = 0; i < tier.budgetCount; i++) {
    if (tier.budget(i).meter != Meter.Requests || tier.budget(i).modelClass != NONE) return false;
  }
  return true;
}

/** The route that holds for a request to `path` (with or without a query) of `tier`; null: none. */
export function findRoute(policy: Policy, tier: Tier, path: Slice): Route | null {
  if (policy.routeCount == 0) return null;
  const clean = plainPath(path);
  if (clean == NONE) return null;
  for (let i = 0; i < policy.routeCount; i++) {
    const route = policy.route(i);
    if (fits(clean, route.path) && route.holdsFor(tier)) return route;
  }
  return null;
}

/** `pattern` is in lower case. */
function fits(path: Slice, pattern: Slice): bool {
  const last = lenOf(pattern) - 1;
  if (load<u8>(ptrOf(pattern) + last) == 42) {
    return lenOf(path) >= last && equalFolded(sub(path, 0, last), sub(pattern, 0, last));
  }
  return equalFolded(withoutSlashes(path), withoutSlashes(pattern));
}

function withoutSlashes(path: Slice): Slice {
  let len = lenOf(path);
  while (len > 1 && load<u8>(ptrOf(path) + len - 1) == 47) len--;
  return slice(ptrOf(path), len);
}

function equalFolded(text: Slice, lower: Slice): bool {
  if (lenOf(text) != lenOf(lower)) return false;
  for (let i = 0; i < lenOf(text); i++) {
    if (fold(load<u8>(ptrOf(text) + i)) != load<u8>(ptrOf(lower) + i)) return false;
  }
  return true;
}
