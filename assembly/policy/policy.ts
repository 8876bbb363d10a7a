// A compiled policy: what the request path reads, as overlays on one block of memory that belongs to a root
// context and is reused when that context goes. Nothing here is looked up by text while a request is served but
// the key's digest.
import { DIGEST } from "../identity/sha256";
import { BUDGETS_MAX, RATES_MAX } from "../limits";
import { endOf, eq, indexOf, lenOf, NONE, ptrOf, slice, Slice } from "../slice";

export enum Lane {
  Interactive = 0,
  Batch = 1,
}

export enum Injection {
  Off = 0,
  Shadow = 1,
  Block = 2,
}

/** What an answer is charged that broke off before its usage was known. */
export enum OnAbort {
  Delivered = 0,
  Reserved = 1,
  Zero = 2,
}

export enum Meter {
  Requests = 1,
  Tokens = 2,
  PromptTokens = 3,
  CompletionTokens = 4,
  Cost = 5,
}

/** What becomes of a request that no lease covers while the ledger is away. */
export enum Outage {
  Deny = 0,
  /** It passes within a share of each budget's limit. */
  Allowance = 1,
  Allow = 2,
}

export enum Per {
  Key = 0,
  Team = 1,
  Organisation = 2,
}

/** A GCRA limit: `limit` requests in `periodNs`, up to `burst` at once. */
@unmanaged
export class Rate {
  limit: u64;
  periodNs: u64;
  burst: u64;
  /** Nanoseconds between two requests at the limit, rounded up. */
  intervalNs: u64;
}

@unmanaged
export class Budget {
  name: Slice;
  limit: u64;
  zone: Slice;
  /** The models joined by commas: the budget's model class at the ledger. */
  modelClass: Slice;
  meter: u8;
  window: u8;
  per: u8;
  billingDay: u8;

  /** Whether a request for `model` counts. */
  covers(model: Slice): bool {
    return this.modelClass == NONE || matchesAny(model, this.modelClass);
  }
}

/** The cheaper model that stands in for those that match a name. */
@unmanaged
export class Downgrade {
  from: Slice;
  to: Slice;
}

@unmanaged
export class Tier {
  name: Slice;
  rateCount: i32;
  budgetCount: i32;
  rates: usize;
  budgets: usize;
  bytesMax: u64;
  /** The most prompt tokens; u64.MAX_VALUE without a limit. */
  promptTokensMax: u64;
  outputTokensMax: u64;
  threshold: i32;
  untrustedThreshold: i32;
  injection: u8;
  /** What looks like an injection in system texts is only reported. */
  systemShadowed: bool;
  unknownShapeAllowed: bool;
  outage: u8;
  /** Some budget counts tokens or cost. */
  counts: bool;
  /** The same as `redactions` and `phrases` for prompts, and whether there is anything to do. */
  promptRedactions: usize;
  promptPhrases: usize;
  redactsPrompt: bool;
  /** Some of what is taken out of a prompt is put back into its answer. */
  restores: bool;
  /** An action (redact/types.ts) per type of what must not leave; `redacts` when one is not to ignore. */
  redactions: usize;
  /** Patterns and canaries (redact/phrases.ts), or 0. */
  phrases: usize;
  redacts: bool;
  /** One of the actions is to block. */
  blocks: bool;
  refusesCompressed: bool;
  /** Streams tell their usage unasked. */
  usageTold: bool;
  onAbort: u8;
  /** Millionths of each budget's limit that pass in one outage. */
  allowance: u32;
  downgradeCount: i32;
  downgrades: usize;
  /** Ids of the request counters by reason (u32), or 0 before they are defined. */
  counters: usize;
  /** Requests with the verdict "ok" of which the host was not told yet. */
  passed: i64;

  rate(i: i32): Rate {
    return changetype<Rate>(this.rates + <usize>i * offsetof<Rate>());
  }
  budget(i: i32): Budget {
    return changetype<Budget>(this.budgets + <usize>i * offsetof<Budget>());
  }
  downgrade(i: i32): Downgrade {
    return changetype<Downgrade>(this.downgrades + <usize>i * offsetof<Downgrade>());
  }
  /** Whether what is charged depends on more of the answer than its status: a request counts as one whatever it used. */
  get chargesByAnswer(): bool {
    return this.counts || this.onAbort == OnAbort.Zero;
  }
  /** Whether a stream is asked for its usage. */
  get asksUsage(): bool {
    return this.counts && !this.usageTold;
  }
  /** Whether some budget depends on which model is asked. */
  get dependsOnModel(): bool {
    for (let i = 0; i < this.budgetCount; i++) {
      const budget = this.budget(i);
      if (budget.meter == Meter.Cost || budget.modelClass != NONE) return true;
    }
    return false;
  }
  /** The model that stands in for `model` where budgets do not cover it; NONE without one. */
  cheaper(model: Slice): Slice {
    let best = NONE;
    let longest = -1;
    for (let i = 0; i < this.downgradeCount; i++) {
      const downgrade = this.downgrade(i);
      if (lenOf(downgrade.from) <= longest || !matches(model, downgrade.from)) continue;
      longest = lenOf(downgrade.from);
      best = downgrade.to;
    }
    return best;
  }
}

@unmanaged
export class Key {
  subject: Slice;
  /** Seconds since 1970. */
  notBefore: u64;
  /** Seconds since 1970; u64.MAX_VALUE without an end. */
  expires: u64;
  /** Joined by commas; NONE for all. */
  models: Slice;
  networks: usize;
  networkCount: i32;
  tier: usize;
  lane: u8;
  // followed by the digest
  get digest(): usize {
    return changetype<usize>(this) + offsetof<Key>();
  }
  get isDated(): bool {
    return this.notBefore != 0 || this.expires != u64.MAX_VALUE;
  }
  isValid(seconds: u64): bool {
    return seconds >= this.notBefore && seconds < this.expires;
  }
}

export const KEY_SIZE: usize = (offsetof<Key>() + <usize>DIGEST + 7) & ~7;
/** A network as identity/address.ts writes it, padded. */
export const NETWORK_SIZE: usize = 24;

/** Pico-dollars per token, which are micro-dollars for a million tokens. */
@unmanaged
export class Picos {
  prompt: u64;
  cached: u64;
  cacheWrite: u64;
  cacheWriteHour: u64;
  completion: u64;
  reasoning: u64;
}

@unmanaged
export class Price {
  model: Slice;
  /** The most tokens of a prompt that is not long: u64.MAX_VALUE where all prompts cost the same. */
  longAbove: u64;
  picos: Picos;
  longPicos: Picos;

  isLong(prompt: u64): bool {
    return prompt > this.longAbove;
  }
}

/** What holds for one path. */
@unmanaged
export class Route {
  /** In lower case, perhaps with a trailing `*`. */
  path: Slice;
  /** Names of tiers joined by commas; NONE for all. */
  tiers: Slice;
  /** What bodies must fit, as inspect/schema-rules.ts saved it; 0: nothing. */
  schema: usize;
  /** Bodies that are no plain JSON pass. */
  otherMedia: bool;
  /** Requests that open a WebSocket pass. */
  upgrades: bool;

  holdsFor(tier: Tier): bool {
    return this.tiers == NONE || matchesAny(tier.name, this.tiers);
  }
}

/** A word, or the claim of a token: then `word` is its name and `path` the property that holds it. */
@unmanaged
export class ClaimPart {
  word: Slice;
  path: Slice;
}

/** How the claims of a token that the proxy has verified name its caller. */
@unmanaged
export class Claims {
  /** The property that is there if and only if there is such a token. */
  payload: Slice;
  partCount: i32;

  /** The segments of the subject, and then the tier. */
  part(i: i32): ClaimPart {
    return changetype<ClaimPart>(
      changetype<usize>(this) + offsetof<Claims>() + <usize>i * offsetof<ClaimPart>(),
    );
  }
  get tierPart(): ClaimPart {
    return this.part(CLAIM_PARTS_MAX);
  }
}

export const CLAIM_PARTS_MAX: i32 = 3;
export const CLAIMS_SIZE: usize = offsetof<Claims>() + <usize>(CLAIM_PARTS_MAX + 1) * offsetof<ClaimPart>();

@unmanaged
export class Policy {
  /** Of the document's text: the same in all workers, another for every other policy. */
  tag: u64;
  /** Of the ledger's cluster. */
  ledgerTag: u64;
  /** When what policies with this ledger have in common was last looked after, by any of them. */
  lookedAfterNs: u64;
  cluster: Slice;
  timeoutMs: u32;
  syncMs: u32;
  tiers: usize;
  tierCount: i32;
  anonymous: usize;
  shield: usize;
  prices: usize;
  priceCount: i32;
  routes: usize;
  routeCount: i32;
  /** The framed message that asks for the policy's own rules to be compiled; NONE: it has none. */
  ruleMessage: Slice;
  /** Where their table goes: OWN_RULES_BYTES_MAX bytes. */
  ruleTable: usize;
  /** The table's length; 0: it is not there yet. */
  ruleLength: i32;
  /** When to ask next, and how often that failed. */
  ruleDueNs: u64;
  ruleFailures: u32;
  /** The question is on its way. */
  ruleAsked: bool;
  /** Open addressing on the digest's first 32 bits; u32 cells, 0 is empty, else 1 + the key's number. */
  keyIndex: usize;
  keyMask: u32;
  keys: usize;
  keyCount: i32;
  trustedHops: i32;
  /** How a verified token names its caller (Claims); 0: tokens do not. */
  claims: usize;
  keyHeaders: u8;
  holdHeaders: bool;
  leases: bool;
  /** A lease that died is charged what was reported of it, not all of it. */
  chargeReported: bool;
  /** The caller's key travels upstream too. */
  forwardKey: bool;
  /** Some tier has a budget. */
  budgeted: bool;
  /** Some tier redacts answers, or prompts, or puts back into answers what it took out of prompts. */
  redacts: bool;
  redactsPrompts: bool;
  restores: bool;
  /** Some key is bound to networks. */
  networked: bool;
  /** Each request is reported to the sidecar; with its texts. */
  events: bool;
  eventsText: bool;
  /** The message that names the moderator of its texts; NONE: there is none. */
  moderator: Slice;
  /** Where its events wait (events/ring.ts); 0 without events. */
  ring: usize;

  tier(i: i32): Tier {
    return changetype<Tier>(this.tiers + <usize>i * offsetof<Tier>());
  }

  tierNamed(name: Slice): Tier | null {
    for (let i = 0; i < this.tierCount; i++) if (eq(this.tier(i).name, name)) return this.tier(i);
    return null;
  }

  route(i: i32): Route {
    return changetype<Route>(this.routes + <usize>i * offsetof<Route>());
  }

  /** Whether prompts cannot be judged yet, because the policy's own rules are not there. */
  get awaitsRules(): bool {
    return this.ruleMessage != NONE && this.ruleLength == 0;
  }

  /** The key with this digest, or null. */
  key(digest: usize): Key | null {
    let cell = load<u32>(digest) & this.keyMask;
    while (true) {
      const number = load<u32>(this.keyIndex + ((<usize>cell) << 2));
      if (number == 0) return null;
      const key = changetype<Key>(this.keys + <usize>(number - 1) * KEY_SIZE);
      if (memory.compare(key.digest, digest, DIGEST) == 0) return key;
      cell = (cell + 1) & this.keyMask;
    }
  }

  /** The price of `model`: that of the longest matching name, or null. */
  price(model: Slice): Price | null {
    let best: Price | null = null;
    let longest = -1;
    for (let i = 0; i < this.priceCount; i++) {
      const price = changetype<Price>(this.prices + <usize>i * offsetof<Price>());
      if (lenOf(price.model) <= longest || !matches(model, price.model)) continue;
      longest = lenOf(price.model);
      best = price;
    }
    return best;
  }
}

/** Whether `name` is `pattern`, or starts as it does when it ends in `*`. */
export function matches(name: Slice, pattern: Slice): bool {
  const len = lenOf(pattern);
  if (len == 0 || load<u8>(endOf(pattern) - 1) != 42) return eq(name, pattern);
  return lenOf(name) >= len - 1 && memory.compare(ptrOf(name), ptrOf(pattern), len - 1) == 0;
}

/** Whether a `*` stands elsewhere than at the end, where it would only match itself. */
export function hasInnerStar(pattern: Slice): bool {
  const star = indexOf(pattern, 42);
  return star >= 0 && star < lenOf(pattern) - 1;
}

/** Whether `name` matches one of the patterns, which are joined by commas. */
export function matchesAny(name: Slice, patterns: Slice): bool {
  const end = endOf(patterns);
  let from = ptrOf(patterns);
  while (from <= end) {
    let to = from;
    while (to < end && load<u8>(to) != 44) to++;
    if (matches(name, slice(from, <i32>(to - from)))) return true;
    from = to + 1;
  }
  return false;
}

assert(BUDGETS_MAX <= 8 && RATES_MAX <= 4);
