// Host functions that touch one stream: header maps, buffers, properties, local responses, continue and close.
//
// Built once per VM. A function checks its pointers, then the profile's rules, then asks the effective stream.
// Every one returns an ABI status; rules that would trap on the real host throw a HostViolation through the guest.
import { BufferType, MapType, Phase, phaseName, Status, StreamType } from "./abi.ts";
import type { Body } from "./body.ts";
import { HostViolation } from "./errors.ts";
import { type HeaderMap, parsePairs } from "./maps.ts";
import type { Rule } from "./rules.ts";
import type { Vm } from "./vm.ts";

export type HostFunction = (...args: never[]) => number;

const REASON_PHRASE = /^[\t\x20-\x7e]*$/;

export function streamImports(vm: Vm): Record<string, HostFunction> {
  const { profile } = vm;

  const outside = (): number => {
    if (profile.trapsOnMisuse) throw new HostViolation("memory-out-of-bounds", phaseName(vm.phase));
    return Status.InvalidMemory;
  };
  const bad = (ptr: number, len: number) => !vm.memory.has(ptr, len);
  const only = (phases: number, rule: Rule) => {
    if ((vm.phase & phases) === 0) throw new HostViolation(rule, `in ${phaseName(vm.phase)}`);
  };

  /** A map for writing; a status when there is none. */
  function writable(type: number): HeaderMap | number {
    if (type < 0 || type > MapType.Last) return Status.BadArgument;
    if (type === MapType.RequestHeaders) {
      only(profile.setRequestHeadersPhases, "request-headers-final");
      if (!profile.headersLeave && vm.stream?.responseStarted) {
        throw new HostViolation("request-headers-final", `in ${phaseName(vm.phase)}`);
      }
    } else if (type === MapType.ResponseHeaders) {
      only(profile.setResponseHeadersPhases, "response-headers-final");
    }
    if (type > MapType.ResponseTrailers || vm.phase === Phase.Log) return Status.BadArgument;
    return vm.map(type) ?? Status.BadArgument;
  }

  /** The buffer of `type`; a status when there is none. */
  function buffer(type: number): Body | Uint8Array | number {
    if (type < 0 || type > BufferType.Last) return Status.BadArgument;
    if (type === BufferType.RequestBody) only(profile.requestBodyPhases, "request-body-phase");
    if (type === BufferType.ResponseBody) only(profile.responseBodyPhases, "response-body-phase");
    return vm.buffer(type) ?? Status.NotFound;
  }

  return {
    proxy_get_header_map_value(type: number, key: number, keyLen: number, ptrPtr: number, sizePtr: number) {
      if (bad(key, keyLen) || bad(ptrPtr, 4) || bad(sizePtr, 4)) return outside();
      const map = vm.map(type);
      if (!map) return profile.trapsOnMisuse ? Status.NotFound : Status.BadArgument;
      const value = map.get(vm.memory.latin1(key, keyLen));
      if (value === undefined) return Status.NotFound;
      return vm.memory.giveLatin1(value, ptrPtr, sizePtr) ? Status.Ok : vm.noRoom;
    },
    proxy_get_header_map_pairs(type: number, ptrPtr: number, sizePtr: number) {
      if (bad(ptrPtr, 4) || bad(sizePtr, 4)) return outside();
      if (type < 0 || type > MapType.Last) return Status.BadArgument;
      const map = vm.map(type);
      if (!map) {
        if (profile.trapsOnMisuse) return Status.BadArgument;
        vm.memory.give(new Uint8Array(0), ptrPtr, sizePtr);
        return Status.Ok;
      }
      return vm.memory.givePairs(map, profile.pairsMax, ptrPtr, sizePtr) ? Status.Ok : vm.noRoom;
    },
    proxy_get_header_map_size(type: number, resultPtr: number) {
      if (bad(resultPtr, 4)) return outside();
      const map = vm.map(type);
      if (!map) return Status.BadArgument;
      vm.memory.setU32(resultPtr, map.bytes);
      return Status.Ok;
    },
    proxy_set_header_map_pairs(type: number, ptr: number, len: number) {
      if (bad(ptr, len)) return outside();
      const map = writable(type);
      if (typeof map === "number") return map;
      const pairs = parsePairs(vm.memory.bytes(ptr, len));
      if (!pairs) return Status.SerializationFailure;
      map.assign(pairs);
      return Status.Ok;
    },
    proxy_add_header_map_value(type: number, key: number, keyLen: number, value: number, valueLen: number) {
      if (bad(key, keyLen) || bad(value, valueLen)) return outside();
      const map = writable(type);
      if (typeof map === "number") return map;
      map.add(vm.memory.latin1(key, keyLen), vm.memory.latin1(value, valueLen));
      return Status.Ok;
    },
    proxy_replace_header_map_value(
      type: number,
      key: number,
      keyLen: number,
      value: number,
      valueLen: number,
    ) {
      if (bad(key, keyLen) || bad(value, valueLen)) return outside();
      const map = writable(type);
      if (typeof map === "number") return map;
      map.replace(vm.memory.latin1(key, keyLen), vm.memory.latin1(value, valueLen));
      return Status.Ok;
    },
    proxy_remove_header_map_value(type: number, key: number, keyLen: number) {
      if (bad(key, keyLen)) return outside();
      const map = writable(type);
      if (typeof map === "number") return map;
      map.remove(vm.memory.latin1(key, keyLen));
      return Status.Ok;
    },

    proxy_get_buffer_bytes(type: number, start: number, length: number, ptrPtr: number, sizePtr: number) {
      if (bad(ptrPtr, 4) || bad(sizePtr, 4)) return outside();
      const body = buffer(type);
      if (typeof body === "number") return body;
      const from = start >>> 0;
      const wanted = length >>> 0;
      if (from + wanted > 0xffffffff) return Status.BadArgument;
      const streamed = type === BufferType.RequestBody || type === BufferType.ResponseBody;
      if (profile.trapsOnMisuse && streamed && (from > 0 || wanted < body.length)) {
        throw new HostViolation("body-partial-read", `(${from}, ${wanted}) of ${body.length} bytes`);
      }
      const count = from > body.length ? 0 : Math.min(wanted, body.length - from);
      if (count === 0 && profile.trapsOnMisuse) return Status.Ok;
      if (count === 0) return vm.memory.give(new Uint8Array(0), ptrPtr, sizePtr) ? Status.Ok : vm.noRoom;
      const bytes = body instanceof Uint8Array ? body.subarray(from, from + count) : body.slice(from, count);
      return vm.memory.give(bytes, ptrPtr, sizePtr) ? Status.Ok : vm.noRoom;
    },
    proxy_get_buffer_status(type: number, lengthPtr: number, flagsPtr: number) {
      if (bad(lengthPtr, 4) || bad(flagsPtr, 4)) return outside();
      const body = buffer(type);
      if (typeof body === "number") return body;
      vm.memory.setU32(lengthPtr, body.length);
      vm.memory.setU32(flagsPtr, 0);
      return Status.Ok;
    },
    proxy_set_buffer_bytes(type: number, start: number, length: number, data: number, dataLen: number) {
      if (bad(data, dataLen)) return outside();
      const body = buffer(type);
      if (typeof body === "number") return body;
      if (body instanceof Uint8Array) return Status.BadArgument;
      return setBuffer(body, start >>> 0, length >>> 0, vm.memory.copy(data, dataLen));
    },

    proxy_get_property(path: number, pathLen: number, ptrPtr: number, sizePtr: number) {
      if (bad(path, pathLen) || bad(ptrPtr, 4) || bad(sizePtr, 4)) return outside();
      const value = vm.property(vm.memory.utf8(path, pathLen));
      if (value === undefined) return Status.NotFound;
      return vm.memory.give(value, ptrPtr, sizePtr) ? Status.Ok : vm.noRoom;
    },
    proxy_set_property(path: number, pathLen: number, value: number, valueLen: number) {
      if (bad(path, pathLen) || bad(value, valueLen)) return outside();
      return vm.setProperty(vm.memory.utf8(path, pathLen), vm.memory.copy(value, valueLen));
    },

    proxy_send_local_response(
      status: number,
      details: number,
      detailsLen: number,
      body: number,
      bodyLen: number,
      headers: number,
      headersLen: number,
    ) {
      if (bad(details, detailsLen) || bad(body, bodyLen) || bad(headers, headersLen)) return outside();
      only(profile.localResponsePhases, "local-response-phase");
      const reason = vm.memory.utf8(details, detailsLen);
      if (profile.trapsOnMisuse && !REASON_PHRASE.test(reason)) {
        throw new HostViolation("local-response-reason", JSON.stringify(reason));
      }
      const pairs = parsePairs(vm.memory.bytes(headers, headersLen));
      if (!pairs) return Status.SerializationFailure;
      const stream = vm.stream;
      if (!stream) return Status.Ok;
      if (stream.local) {
        if (profile.trapsOnMisuse) throw new HostViolation("local-response-twice", String(status));
        return Status.Ok;
      }
      stream.respondLocally({
        status,
        details: reason,
        headers: pairs,
        body: vm.memory.copy(body, bodyLen),
        from: "guest",
      });
      return Status.Ok;
    },
    proxy_continue_stream(type: number) {
      if (type < 0 || type > StreamType.Last) return Status.BadArgument;
      vm.stream?.requestContinue(type);
      return Status.Ok;
    },
    proxy_continue_request() {
      vm.stream?.requestContinue(StreamType.Request);
      return Status.Ok;
    },
    proxy_continue_response() {
      vm.stream?.requestContinue(StreamType.Response);
      return Status.Ok;
    },
    proxy_close_stream(type: number) {
      if (type < 0 || type > StreamType.Last) return Status.BadArgument;
      vm.stream?.reset("wasm_close_stream");
      return Status.Ok;
    },
    proxy_clear_route_cache: () => Status.Ok,
  };

  function setBuffer(body: Body, start: number, length: number, data: Buffer): number {
    if (start === 0 && length === 0) {
      body.prepend(data);
      return Status.Ok;
    }
    if (profile.trapsOnMisuse) {
      const room = length === 0 ? data.length : length;
      if (data.length > room) {
        throw new HostViolation("body-truncated", `${data.length} bytes into ${length}`);
      }
      body.truncate(start);
      if (start > body.length) body.append(Buffer.alloc(start - body.length, " "));
      body.append(data);
      return Status.Ok;
    }
    if (start === 0 && length < body.length) return Status.BadArgument;
    if (start > 0 && start < body.length) return Status.BadArgument;
    if (start === 0) body.clear();
    body.append(data);
    return Status.Ok;
  }
}
