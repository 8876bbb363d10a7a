// Requests and answers as Kong's messages have them, and as the filter reads them: pairs of headers, bytes of bodies.
//
// Bounds: HEADERS_MAX headers, BODY_BYTES_MAX bytes of a request's body. What is beyond them would be cut by Kong without
// a word, so it is an error here, and the request is refused.
import type { Pairs } from "../../host/abi.ts";
import type { KongHeaders, KongPdk } from "./pdk.ts";

/** The most that Kong lets a plugin ask for. */
const HEADERS_MAX = 1000;
export const BODY_BYTES_MAX = 16 << 20;
const FORWARDED_FOR = "x-forwarded-for";
/** nginx frames messages itself. */
const FRAMING = new Set(["content-length", "transfer-encoding", "connection"]);

/** The request's headers with their pseudo-headers, in three messages. Throws when there are more than Kong shows. */
export async function requestHeaders(kong: KongPdk): Promise<Pairs> {
  const { request } = kong;
  const method = await request.getMethod();
  const path = await request.getPathWithQuery();
  const headers = pairs(await request.getHeaders(HEADERS_MAX));
  const host = field(headers, "host") ?? "";
  return [[":method", method], [":path", path], [":scheme", "http"], [":authority", host], ...headers];
}

/** Headers as Envoy shows them, with the connection's address at the end of x-forwarded-for: Kong appends it later. */
export function forwardedBy(ip: string, headers: Pairs): Pairs {
  const at = headers.findLastIndex(([name]) => name.toLowerCase() === FORWARDED_FOR);
  if (at < 0) return [...headers, [FORWARDED_FOR, ip]];
  return headers.map(([name, value], i) => [name, i === at ? `${value}, ${ip}` : value]);
}

/** The request's body. Throws when Kong has one that it does not hand over, or hands over as text. */
export async function requestBody(kong: KongPdk, headers: Pairs): Promise<Uint8Array> {
  const body = bytes(await kong.request.getRawBody(BODY_BYTES_MAX));
  const told = field(headers, "content-length");
  if (told !== undefined && Number(told) !== body.length)
    throw new Error(`Kong handed over ${body.length} bytes of a body of ${told}`);
  return body;
}

/** The length that the request tells, undefined when it tells none. */
export function toldLength(headers: Pairs): number | undefined {
  const told = field(headers, "content-length");
  return told === undefined ? undefined : Number(told);
}

/** The answer of the service: its headers with the status, and its body. */
export async function serviceAnswer(kong: KongPdk): Promise<{ headers: Pairs; body: Uint8Array }> {
  const { response } = kong.service;
  // None: Kong has reached no service.
  const status = (await response.getStatus()) ?? 502;
  const headers = pairs(await response.getHeaders(HEADERS_MAX));
  return { headers: [[":status", String(status)], ...headers], body: bytes(await response.getRawBody()) };
}

/** What has to be told to Kong so that headers `before` become `after`: names to clear, and those to set, with all their values. */
export function changes(before: Pairs, after: Pairs): { clear: string[]; set: KongHeaders } {
  const [was, is] = [lists(before), lists(after)];
  const clear = [...was.keys()].filter((name) => !is.has(name));
  const changed = [...is].filter(([name, values]) => values.join("\0") !== was.get(name)?.join("\0"));
  return { clear, set: table(new Map(changed)) };
}

/** Headers as Kong takes them in one call. */
export const kongHeaders = (headers: Pairs): KongHeaders => table(lists(headers));

function table(headers: Map<string, string[]>): KongHeaders {
  return Object.fromEntries([...headers].map(([name, list]) => [name, list.length === 1 ? list[0]! : list]));
}

/** Values by name, without pseudo-headers and what nginx does itself. */
function lists(headers: Pairs): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const [name, value] of headers) {
    if (!name.startsWith(":") && !FRAMING.has(name)) found.set(name, [...(found.get(name) ?? []), value]);
  }
  return found;
}

function pairs(headers: KongHeaders): Pairs {
  const found = Object.entries(headers).flatMap(([name, values]) =>
    [values].flat().map((value): [string, string] => [name.toLowerCase(), String(value)]),
  );
  if (found.length >= HEADERS_MAX)
    throw new Error(`${HEADERS_MAX} headers or more: Kong shows no further ones`);
  return found;
}

function bytes(body: string | Uint8Array | null | undefined): Uint8Array {
  if (typeof body === "string" && body !== "")
    throw new Error("bodies come as text: expected Kong 3.0 or later");
  return typeof body === "string" || !body ? new Uint8Array(0) : body;
}

const field = (headers: Pairs, name: string) => headers.find(([other]) => other === name)?.[1];
