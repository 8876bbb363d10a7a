// One walk over the request's headers, which leaves what the stages need. The slices point into the host's copy
// and live until the callback returns.
import { MapType } from "./proxy-wasm/abi";
import { arenaTake } from "./proxy-wasm/arena";
import { headerName, headerValue, nextHeader, openHeaders, removeHeader } from "./proxy-wasm/headers";
import { nginx } from "./proxy-wasm/kind";
import {
  eq,
  fold,
  indexOf,
  is,
  isFolded,
  lenOf,
  lit,
  NONE,
  ptrOf,
  slice,
  Slice,
  startsWithFolded,
  sub,
  trim,
} from "./slice";

/** Header forms of a key, as bits of `Policy.keyHeaders`. */
export const FORM_AUTHORIZATION: u8 = 1;
export const FORM_X_API_KEY: u8 = 2;
export const FORM_API_KEY: u8 = 4;
export const FORM_X_GOOG_API_KEY: u8 = 8;

const NOTHING = lit(",");
const COMMA: u8 = 44;
const DASH: u8 = 45;
const UNDERSCORE: u8 = 95;
const LETTER_X: u8 = 120;
/** Inbound headers with a name of ours; more of them is refused. */
const FORGED_MAX: i32 = 16;
/** nginx hands over so many headers and keeps the rest to itself: what is not seen could be anything. */
const NGINX_PAIRS_MAX: i32 = 100;

export let path: Slice = NONE;
export let method: Slice = NONE;
export let contentType: Slice = NONE;
export let contentEncoding: Slice = NONE;
export let forwardedFor: Slice = NONE;
export let requestId: Slice = NONE;
export let acceptEncoding: Slice = NONE;
export let contentLength: Slice = NONE;
/** W3C trace context; NONE too where it was sent twice, which the specification does not allow. */
export let traceparent: Slice = NONE;
export let tracestate: Slice = NONE;
/** What the request wants to switch to; NONE: nothing. */
export let upgrade: Slice = NONE;
/** The request asks for a tunnel. */
export let connects: bool = false;
/** Only parts of the answer are wanted. */
export let ranged: bool = false;
/** A body comes in chunks, of a length that nobody told. */
export let hasChunks: bool = false;
/** The key that was shown, without its scheme; NONE if none was. */
export let credential: Slice = NONE;
/** The forms in which keys were shown, as bits. */
export let shownIn: u8 = 0;
/** Two headers showed different keys. */
export let ambiguous: bool = false;
/** One header shows several keys, as Envoy makes one of two `authorization` headers. */
export let joined: bool = false;
export let forgedCount: i32 = 0;

const forged = new StaticArray<u64>(FORGED_MAX);

/** A header that only the proxy may set, to be taken off. */
export function forgedName(i: i32): Slice {
  return forged[i];
}

/** Reads the request's headers; `accepted` says which forms may carry a key. False when the host could not
 *  hand them over, or they are beyond what the filter can clean. */
export function readRequestHeaders(accepted: u8): bool {
  path =
    method =
    contentType =
    contentEncoding =
    forwardedFor =
    requestId =
    acceptEncoding =
    contentLength =
    traceparent =
    tracestate =
    credential =
    upgrade =
      NONE;
  connects = ranged = hasChunks = ambiguous = joined = false;
  let pairs = 0;
  let traces = 0;
  forgedCount = 0;
  shownIn = 0;
  if (!openHeaders(MapType.RequestHeaders)) return false;
  while (nextHeader()) {
    pairs++;
    const name = headerName();
    const value = headerValue();
    switch (lenOf(name)) {
      case 5:
        if (is(name, ":path")) path = value;
        else if (isFolded(name, "range")) ranged = true;
        break;
      case 7:
        if (is(name, ":method")) {
          method = value;
          connects = is(value, "CONNECT");
        } else if (accepted & FORM_API_KEY && isFolded(name, "api-key")) show(trim(value), FORM_API_KEY);
        else if (isFolded(name, "upgrade")) upgrade = value;
        break;
      case 9:
        if (accepted & FORM_X_API_KEY && isFolded(name, "x-api-key")) show(trim(value), FORM_X_API_KEY);
        break;
      case 10:
        if (isFolded(name, "tracestate")) tracestate = value;
        break;
      case 11:
        if (isFolded(name, "traceparent")) traceparent = traces++ == 0 ? value : NONE;
        break;
      case 12:
        if (isFolded(name, "content-type")) contentType = listed(contentType, value);
        else if (isFolded(name, "x-request-id")) requestId = value;
        break;
      case 13:
        if (accepted & FORM_AUTHORIZATION && isFolded(name, "authorization")) showBearer(value);
        break;
      case 14:
        if (isFolded(name, "content-length")) contentLength = value;
        else if (accepted & FORM_X_GOOG_API_KEY && isFolded(name, "x-goog-api-key"))
          show(trim(value), FORM_X_GOOG_API_KEY);
        break;
      case 15:
        if (isFolded(name, "x-forwarded-for")) forwardedFor = listed(forwardedFor, value);
        else if (isFolded(name, "accept-encoding")) acceptEncoding = value;
        break;
      case 16:
        if (isFolded(name, "content-encoding") && !isFolded(value, "identity")) contentEncoding = value;
        break;
      case 17:
        if (isFolded(name, "transfer-encoding")) hasChunks = true;
        break;
    }
    if (isOurs(name)) {
      if (forgedCount == FORGED_MAX) return false;
      unchecked((forged[forgedCount++] = name));
    }
  }
  return !nginx || pairs < NGINX_PAIRS_MAX;
}

/**
 * The value of a header that comes once more with `value`, as Envoy makes one list of both; nginx hands over each. Without room
 * in the arena it is a list of nothing, which no reader takes for anything.
 */
function listed(list: Slice, value: Slice): Slice {
  if (list == NONE) return value;
  const size = lenOf(list) + 1 + lenOf(value);
  const to = arenaTake(size);
  if (!to) return NOTHING;
  memory.copy(to, ptrOf(list), lenOf(list));
  store<u8>(to + lenOf(list), COMMA);
  memory.copy(to + lenOf(list) + 1, ptrOf(value), lenOf(value));
  return slice(to, size);
}

/** Whether the headers announce no body. (Over HTTP/2 one may come all the same: its length need not be told.) */
export function announcesNoBody(): bool {
  return !hasChunks && (contentLength == NONE || is(contentLength, "0"));
}

/**
 * Whether only the proxy may set `name`. An upstream could read it as x-weir-…: CGI and WSGI make no difference between `-`
 * and `_`. Or it asks Envoy to try again, which obeys addresses that it takes for internal: each try costs, and one is charged.
 */
function isOurs(name: Slice): bool {
  if (lenOf(name) < 7 || fold(load<u8>(ptrOf(name))) != LETTER_X) return false;
  const rest = sub(name, 2, lenOf(name));
  if (startsWithFolded(rest, "envoy-")) return asksForTries(sub(name, 8, lenOf(name)));
  if (!startsWithFolded(rest, "weir")) return false;
  return isDash(load<u8>(ptrOf(name), 1)) && isDash(load<u8>(ptrOf(name), 6));
}

/** What follows x-envoy-: retry-on, retriable-…, max-retries, hedge-on-…, upstream-rq-per-try-timeout-ms. */
function asksForTries(name: Slice): bool {
  return (
    startsWithFolded(name, "retr") ||
    startsWithFolded(name, "max-retries") ||
    startsWithFolded(name, "hedge-") ||
    startsWithFolded(name, "upstream-rq-per-try-")
  );
}

function isDash(byte: u8): bool {
  return byte == DASH || byte == UNDERSCORE;
}

function showBearer(value: Slice): void {
  const comma = indexOf(value, COMMA);
  joined = comma >= 0 && startsWithFolded(trim(sub(value, comma + 1, lenOf(value))), "bearer ");
  // A client without a key; the space behind it is no part of a header's value.
  if (isFolded(value, "bearer")) return;
  if (startsWithFolded(value, "bearer ")) show(trim(sub(value, 7, lenOf(value))), FORM_AUTHORIZATION);
  else show(trim(value), FORM_AUTHORIZATION);
}

/** Takes the request's trailers off; false when the host could not hand them over. */
export function removeTrailers(): bool {
  if (!openHeaders(MapType.RequestTrailers)) return false;
  while (nextHeader()) removeHeader(MapType.RequestTrailers, headerName());
  return true;
}

/** Different keys in two headers: whichever was checked, the upstream might use the other. */
function show(key: Slice, form: u8): void {
  if (lenOf(key) == 0) return;
  shownIn |= form;
  if (credential == NONE) credential = key;
  else if (!eq(credential, key)) ambiguous = true;
}
