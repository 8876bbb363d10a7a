// What Envoy tells of how a stream ended, by its response code details and what it knows of the upstream: valid from the answer's
// headers on. nginx tells nothing of it.
import { hasProperty, property } from "./proxy-wasm/host";
import { nginx } from "./proxy-wasm/kind";
import { is, lenOf, lit, NONE, ptrOf, Slice, sub } from "./slice";

const CODE_DETAILS = lit("response\0code_details");
const UPSTREAM_ADDRESS = lit("upstream\0address");
const UPSTREAM_LOCAL_ADDRESS = lit("upstream\0local_address");
const UPSTREAM_ATTEMPTS = lit("upstream\0request_attempt_count");

function codeDetails(): Slice {
  return nginx ? NONE : property(CODE_DETAILS);
}

/**
 * Whether Envoy gave the request to no upstream: a route (`direct_response`) or another filter answered it, or it ended while it waited for
 * such a filter or for a connection. A connection to an IP address has a near end; of others (a socket of the machine's) it cannot be
 * told. What is told is of the last attempt: of one before it the upstream may be at work. An Envoy that tells nothing is taken to
 * have asked.
 */
export function isUnasked(): bool {
  const details = codeDetails();
  if (details == NONE || is(details, "via_upstream") || hasProperty(UPSTREAM_LOCAL_ADDRESS)) return false;
  const attempts = property(UPSTREAM_ATTEMPTS);
  if (lenOf(attempts) == 8 && load<u64>(ptrOf(attempts)) > 1) return false;
  const to = property(UPSTREAM_ADDRESS);
  return to == NONE || (lenOf(to) > 0 && isIp(load<u8>(ptrOf(to))));
}

/** Whether an address that begins so is one of IP: `192.0.2.1:80`, `[2001:db8::1]:80`. */
function isIp(first: u8): bool {
  return first == 0x5b || (first >= 0x30 && first <= 0x39);
}

/** Whether Envoy took a redirection for itself (`internal_redirect_policy`): what comes of it is another stream. */
export function isRedirected(): bool {
  return is(codeDetails(), "internal_redirect");
}

/** Whether the error is Envoy's own, after its timeout: the upstream may be at work on the answer, and charge for it. */
export function gaveUp(): bool {
  const why = codeDetails();
  // response_timeout, upstream_per_try_timeout, stream_idle_timeout, max_duration_timeout …; not a connection's.
  if (is(sub(why, max(lenOf(why) - 7, 0), lenOf(why)), "timeout")) return true;
  return is(why, "upstream_max_stream_duration_reached");
}

/** Whether an answer that is held whole was more than Envoy holds. */
export function isTooLarge(): bool {
  return is(codeDetails(), "response_payload_too_large");
}
