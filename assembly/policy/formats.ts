// The formats that the policy's schema names: each judges a string by its parser in units.ts and says, for
// people, what it expected.
import { parseNetwork } from "../identity/address";
import { isOddPath } from "../inspect/prompt-shape";
import { PATH_MAX } from "../limits";
import { reserve } from "../memory";
import { contains, is, lenOf, NONE, ptrOf, Slice, startsWith } from "../slice";
import { isClaimedSubject, isClaimedTier } from "./claims";
import { hasInnerStar } from "./policy";
import {
  isDigest,
  isSubject,
  parseBudget,
  parseDuration,
  parseMoment,
  parseMoney,
  parsePercent,
  parseQuantity,
  parseRate,
} from "./units";

/** The ledger's bound on any text it is sent. */
const TEXT_MAX: i32 = 128;
/** The sidecar's bound on a moderator's URL. */
const URL_MAX: i32 = 256;
const network = reserve(24);

/** What `format` expects when `raw` is NONE or not well formed; null when it is (or there is no such format). */
export function policyFormat(format: Slice, raw: Slice, escaped: bool): string | null {
  const ask = raw == NONE;
  // No format allows a character that JSON must escape, and others have none here (plain.ts): what is left is judged as it stands.
  if (is(format, "rate")) {
    return !ask && parseRate(raw)
      ? null
      : 'a rate such as "60/min" or "60/min burst 10" (per s, min, h or d)';
  }
  if (is(format, "quantity")) {
    return !ask && parseQuantity(raw) ? null : 'a whole number or a quantity such as "16k", "1.5M" or "64Ki"';
  }
  if (is(format, "budget")) {
    return !ask && parseBudget(raw, false)
      ? null
      : 'a budget such as "1M/month" (per hour, day, week or month)';
  }
  if (is(format, "cost")) {
    return !ask && parseBudget(raw, true)
      ? null
      : 'a budget in dollars such as "$50/month" (per hour, day, week or month)';
  }
  if (is(format, "amount")) {
    return !ask && (startsWith(raw, "$") ? parseMoney(raw) : parseQuantity(raw))
      ? null
      : 'a quantity such as "1M", or for cost dollars such as "$50"';
  }
  if (is(format, "percent")) {
    return !ask && parsePercent(raw) ? null : 'a share from "0.0001%" to "100%"';
  }
  if (is(format, "money")) {
    return !ask && parseMoney(raw) ? null : 'dollars with at most six decimals, such as "$2.50"';
  }
  if (is(format, "duration")) {
    return !ask && parseDuration(raw) ? null : 'a duration from 1ms to 24h, such as "500ms" or "2s"';
  }
  if (is(format, "moment")) {
    return !ask && parseMoment(raw) ? null : 'a moment in UTC such as "2026-11-21T08:00:00Z"';
  }
  if (is(format, "digest")) {
    return !ask && isDigest(raw) ? null : "the SHA-256 of a key, 64 hexadecimal digits";
  }
  if (is(format, "subject")) {
    return !ask && isSubject(raw)
      ? null
      : 'one to three segments of letters, digits, ".", "_" and "-", such as "acme/search/key-7" (at most 96 characters)';
  }
  if (is(format, "claimed_subject")) {
    return !ask && isClaimedSubject(raw)
      ? null
      : 'one to three segments, each a word or a claim in braces and at least one a claim, such as "acme/{team}/{sub}"';
  }
  if (is(format, "claimed_tier")) {
    return !ask && isClaimedTier(raw)
      ? null
      : 'a tier\'s name such as "pro", or a claim in braces such as "{plan}"';
  }
  if (is(format, "network")) {
    return !ask && parseNetwork(raw, network)
      ? null
      : 'a network such as "10.0.0.0/8" or "2001:db8::/32", or one address';
  }
  if (is(format, "name")) {
    return !ask && printable(raw)
      ? null
      : 'a name of printable characters without spaces, ",", "|", "{" or "}"';
  }
  if (is(format, "model")) {
    return !ask && printable(raw) && !hasInnerStar(raw)
      ? null
      : 'a model\'s name such as "gpt-4o" or "gpt-4*", with * at its end only';
  }
  if (is(format, "path")) {
    return !ask && isPath(raw)
      ? null
      : 'a path such as "/v1/chat/completions" or "/v1/audio/*", without a query, "%", "//" or dot segments';
  }
  if (is(format, "rule_id")) {
    return !ask && isRuleId(raw)
      ? null
      : 'a name of at most 64 lower-case letters, digits, "." and "-", such as "acme.project-titan"';
  }
  if (is(format, "url")) {
    return !ask && isUrl(raw)
      ? null
      : 'a URL such as "https://api.openai.com/v1/moderations", without user, password or fragment';
  }
  if (is(format, "key_name")) {
    return !ask && isKeyName(raw)
      ? null
      : 'the name of a key, at most 32 lower-case letters, digits and "_", such as "openai"';
  }
  if (is(format, "cluster")) {
    // A URL leads nowhere: no host looks behind its scheme.
    return !ask && !contains(raw, "://")
      ? null
      : 'a cluster\'s name such as "weir_sidecar", or on Kong host:port: no URL';
  }
  if (is(format, "zone")) {
    return !ask && printable(raw) ? null : 'an IANA time zone such as "Europe/Berlin"';
  }
  return null;
}

/** A path as routes have it: one that every server reads alike, with `*` at its end only. */
function isPath(raw: Slice): bool {
  const len = lenOf(raw);
  const from = ptrOf(raw);
  if (len == 0 || len > PATH_MAX) return false;
  if (load<u8>(from) != 47 && !is(raw, "*")) return false;
  for (let i = 0; i < len; i++) {
    const b = load<u8>(from + i);
    if (b == 63 || (b == 42 && i < len - 1)) return false;
  }
  return !isOddPath(raw);
}

/** As the compiler of rules has it. */
function isRuleId(raw: Slice): bool {
  const len = lenOf(raw);
  for (let i = 0; i < len; i++) {
    const b = load<u8>(ptrOf(raw) + i);
    const plain = (b >= 97 && b <= 122) || (b >= 48 && b <= 57);
    if (!plain && (i == 0 || (b != 45 && b != 46))) return false;
  }
  return len > 0 && len <= 64;
}

/** An HTTP URL in which nothing can hide: printable, and what stands before the path is a host and perhaps a port. */
function isUrl(raw: Slice): bool {
  const scheme = startsWith(raw, "https://") ? 8 : startsWith(raw, "http://") ? 7 : 0;
  const len = lenOf(raw);
  if (scheme == 0 || len > URL_MAX) return false;
  let host = 0;
  let inHost = true;
  for (let i = scheme; i < len; i++) {
    const b = load<u8>(ptrOf(raw) + i);
    // A comma separates URLs in the sidecar's setting; "\\" is "/" to some readers.
    if (b <= 32 || b >= 127 || b == 34 || b == 35 || b == 44 || b == 64 || b == 92) return false;
    if (b == 47 || b == 63) inHost = false;
    if (inHost) host++;
  }
  return host > 0;
}

/** The sidecar's operator has it as the end of a variable's name. */
function isKeyName(raw: Slice): bool {
  const len = lenOf(raw);
  for (let i = 0; i < len; i++) {
    const b = load<u8>(ptrOf(raw) + i);
    if ((b < 97 || b > 122) && (i == 0 || (b != 95 && (b < 48 || b > 57)))) return false;
  }
  return len > 0 && len <= 32;
}

/** What the ledger takes as a name: printable ASCII but for what separates names there. */
function printable(raw: Slice): bool {
  const len = lenOf(raw);
  if (len == 0 || len > TEXT_MAX) return false;
  for (let i = 0; i < len; i++) {
    const b = load<u8>(ptrOf(raw) + i);
    if (b <= 32 || b >= 127 || b == 44 || b == 92 || b == 123 || b == 124 || b == 125) return false;
  }
  return true;
}
