// Properties: what `proxy_get_property` finds. A test or the gateway sets them by dotted path; those that follow from
// the stream itself (method, path, headers, response code, plugin) are worked out here.
//
// A path comes as NUL-separated parts and is looked up joined with dots; parts that contain dots themselves
// (`metadata.filter_metadata.envoy.filters.http.jwt_authn`) thus work as written.
import { Phase } from "./abi.ts";
import { HostViolation } from "./errors.ts";
import type { HeaderMap } from "./maps.ts";
import type { Stream } from "./stream.ts";
import type { Vm } from "./vm.ts";

/** Text is given as UTF-8; numbers as the host gives them (8 bytes little-endian, or decimal text). */
export type PropertyValue = string | number | boolean | Uint8Array;
export type Properties = ReadonlyMap<string, PropertyValue>;

/** The bytes of the property at `path` for the VM's effective context; undefined when there is none. */
export function property(vm: Vm, path: string): Uint8Array | undefined {
  const dotted = path.replaceAll("\0", ".").replace(/\.$/, "");
  if (vm.profile.trapsOnMisuse && dotted === "plugin_name" && vm.phase === Phase.Configure) {
    throw new HostViolation("plugin-name-in-configure", "proxy_on_configure");
  }
  if (vm.profile.absentProperties.has(dotted.split(".")[0]!)) return undefined;
  const stream = vm.stream;
  const value =
    stream?.ownProperty(dotted) ?? vm.options.properties?.get(dotted) ?? derived(vm, stream, dotted);
  return value === undefined ? undefined : encode(value, vm.profile.binaryNumbers);
}

function encode(value: PropertyValue, binary: boolean): Uint8Array {
  if (typeof value === "string") return Buffer.from(value);
  if (value instanceof Uint8Array) return value;
  if (!binary) return Buffer.from(String(value));
  if (typeof value === "boolean") return Buffer.of(value ? 1 : 0);
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(Math.trunc(value)));
  return bytes;
}

function derived(vm: Vm, stream: Stream | undefined, path: string): PropertyValue | undefined {
  switch (path) {
    case "plugin_name":
      return vm.root?.name;
    case "plugin_root_id":
      return vm.root?.rootId;
    case "plugin_vm_id":
      return "";
  }
  if (!stream) return undefined;
  if (path.startsWith("request.")) return ofRequest(stream, path.slice(8));
  if (path.startsWith("response.")) return ofResponse(stream, path.slice(9));
  return undefined;
}

function ofRequest(stream: Stream, field: string): PropertyValue | undefined {
  const headers = stream.request.headers;
  if (!headers) return undefined;
  const path = headers.get(":path") ?? "";
  const query = path.indexOf("?");
  switch (field) {
    case "path":
      return path;
    case "url_path":
      return query < 0 ? path : path.slice(0, query);
    case "query":
      return query < 0 ? "" : path.slice(query + 1);
    case "method":
      return headers.get(":method");
    case "host":
      return headers.get(":authority");
    case "scheme":
      return headers.get(":scheme");
    case "useragent":
      return headers.get("user-agent");
    case "protocol":
      return "HTTP/1.1";
    case "id":
      return headers.get("x-request-id");
    case "referer":
      return headers.get("referer");
    case "size":
      return headers.contentLength() ?? stream.request.seen;
    case "total_size":
      return stream.request.seen + headers.bytes;
  }
  return ofHeaders(headers, field);
}

function ofResponse(stream: Stream, field: string): PropertyValue | undefined {
  const headers = stream.response.headers;
  if (field === "code_details") return stream.details || undefined;
  if (!headers) return undefined;
  if (field === "code") return Number(headers.get(":status"));
  if (field === "size") return stream.response.seen;
  return ofHeaders(headers, field);
}

function ofHeaders(headers: HeaderMap, field: string): string | undefined {
  return field.startsWith("headers.") ? headers.get(field.slice(8)) : undefined;
}
