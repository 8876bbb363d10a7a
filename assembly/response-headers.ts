// What is needed of the answer's headers, where an answer is read. One walk over all of them costs less than two single
// look-ups, and alone sees each of several; ngx_wasm_module is also asked one by one, because it hands over at most 100 headers
// and the one that says how the answer is encoded may not be missed. The slices point into the host's copy and live until the
// callback returns.
import {
  CONTENT_DIGEST,
  CONTENT_ENCODING,
  CONTENT_LENGTH,
  CONTENT_MD5,
  CONTENT_RANGE,
  CONTENT_TYPE,
  DIGEST,
  ETAG,
  REPR_DIGEST,
  STATUS,
  WEIR_BUDGET_WARNING,
  WEIR_MODEL,
} from "./headers";
import { NOT_WHOLE, toU64 } from "./json/text";
import { MapType } from "./proxy-wasm/abi";
import { header, headerName, headerValue, nextHeader, openHeaders, removeHeader } from "./proxy-wasm/headers";
import { nginx } from "./proxy-wasm/kind";
import { is, isFolded, lenOf, NONE, ptrOf, Slice } from "./slice";

/** 0 when the host does not say. */
export let status: i32 = 0;
export let type: Slice = NONE;
/** NONE when the answer's bytes are its text. */
export let encoding: Slice = NONE;
/** The content-length; NOT_WHOLE without one. */
export let length: u64 = NOT_WHOLE;
/** One of the headers that `removeDigests` takes off is there. */
let digested: bool = false;
/** One of those that `forgetClaims` takes off is there. */
export let claimed: bool = false;

const PARTIAL: i32 = 206;

/** Reads the answer's headers; what the host cannot hand over counts as absent. */
export function readResponseHeaders(): void {
  if (!walk() || nginx) {
    // They may be.
    digested = claimed = true;
    if (status == 0) status = readStatus();
    if (type == NONE) type = header(MapType.ResponseHeaders, CONTENT_TYPE);
    if (encoding == NONE) encoding = header(MapType.ResponseHeaders, CONTENT_ENCODING);
    if (length == NOT_WHOLE) length = toU64(header(MapType.ResponseHeaders, CONTENT_LENGTH));
  }
  if (encoding != NONE && isFolded(encoding, "identity")) encoding = NONE;
}

function walk(): bool {
  status = 0;
  type = encoding = NONE;
  length = NOT_WHOLE;
  digested = claimed = false;
  if (!openHeaders(MapType.ResponseHeaders)) return false;
  while (nextHeader()) {
    const name = headerName();
    switch (lenOf(name)) {
      case 4:
        if (is(name, "etag")) digested = true;
        break;
      case 6:
        if (is(name, "digest")) digested = true;
        break;
      case 7:
        if (is(name, ":status")) status = statusOf(headerValue());
        break;
      case 11:
        if (is(name, "content-md5") || is(name, "repr-digest")) digested = true;
        break;
      case 12:
        if (type == NONE && is(name, "content-type")) type = headerValue();
        else if (is(name, "x-weir-model")) claimed = true;
        break;
      case 14:
        if (is(name, "content-length")) length = toU64(headerValue());
        else if (is(name, "content-digest")) digested = true;
        break;
      case 16:
        // Of several the one that changes the bytes counts. nginx gives names as they were written.
        if (isFolded(name, "content-encoding") && !isFolded(headerValue(), "identity"))
          encoding = headerValue();
        break;
      case 21:
        if (is(name, "x-weir-budget-warning")) claimed = true;
        break;
    }
  }
  return true;
}

/** Takes off what only the filter may say, and does not say of every answer. */
export function forgetClaims(): void {
  removeHeader(MapType.ResponseHeaders, WEIR_MODEL);
  removeHeader(MapType.ResponseHeaders, WEIR_BUDGET_WARNING);
}

/** The client gets other bytes than the upstream's: what the headers that were read tell of these is taken off. */
export function forgetBytes(): void {
  removeHeader(MapType.ResponseHeaders, CONTENT_LENGTH);
  // A part that came unasked: where it stood in the whole is true of the upstream's bytes alone.
  if (status == PARTIAL) removeHeader(MapType.ResponseHeaders, CONTENT_RANGE);
  if (digested) removeDigests(MapType.ResponseHeaders);
}

/**
 * Takes off what the upstream's bytes are recognised by, as the client gets others: it would refuse them, and could try what was
 * redacted until the digest is right.
 */
export function removeDigests(map: MapType): void {
  removeHeader(map, ETAG);
  removeHeader(map, DIGEST);
  removeHeader(map, CONTENT_MD5);
  removeHeader(map, REPR_DIGEST);
  removeHeader(map, CONTENT_DIGEST);
}

/** The status alone; 0 when the host does not say. */
export function readStatus(): i32 {
  return statusOf(header(MapType.ResponseHeaders, STATUS));
}

function statusOf(text: Slice): i32 {
  let value = 0;
  for (let i = 0; i < min(lenOf(text), 3); i++) value = value * 10 + <i32>load<u8>(ptrOf(text) + i) - 48;
  return value;
}
