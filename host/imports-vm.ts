// Host functions that belong to the VM: log, time, tick, shared data, queues, metrics, callouts, contexts.
//
// Built once per VM, like imports-stream.ts, with the same order of checks: pointers, rules, work.
import { LogLevel, Phase, phaseName, Status } from "./abi.ts";
import { HostViolation } from "./errors.ts";
import type { HostFunction } from "./imports-stream.ts";
import { parsePairs } from "./maps.ts";
import { MetricKind } from "./metrics.ts";
import type { Rule } from "./rules.ts";
import type { Vm } from "./vm.ts";

/** What ngx_wasm_module can resolve: an address or a name with a port, a dotted name, a socket path. */
const TARGET = /^(unix:\/.+|\[[0-9a-f:.]+\](:\d+)?|[a-z0-9-]+(\.[a-z0-9-]+)+(:\d+)?|[a-z0-9-]+:\d+)$/i;

export function vmImports(vm: Vm): Record<string, HostFunction> {
  const { profile, shared, metrics } = vm;

  const outside = (): number => {
    if (profile.trapsOnMisuse) throw new HostViolation("memory-out-of-bounds", phaseName(vm.phase));
    return Status.InvalidMemory;
  };
  const bad = (ptr: number, len: number) => !vm.memory.has(ptr, len);
  const breach = (rule: Rule, detail: string): never => {
    throw new HostViolation(rule, detail);
  };
  const unimplemented = () => Status.Unimplemented;

  return {
    proxy_log(level: number, ptr: number, len: number) {
      if (bad(ptr, len)) return outside();
      const name = LogLevel[level];
      if (!name) return Status.BadArgument;
      vm.log(name, vm.memory.utf8(ptr, len));
      return Status.Ok;
    },
    proxy_get_log_level(ptr: number) {
      if (bad(ptr, 4)) return outside();
      vm.memory.setU32(ptr, LogLevel.indexOf("info"));
      return Status.Ok;
    },
    proxy_get_current_time_nanoseconds(ptr: number) {
      if (bad(ptr, 8)) return outside();
      vm.memory.setU64(ptr, vm.clock.now());
      return Status.Ok;
    },
    proxy_set_tick_period_milliseconds(ms: number) {
      const root = vm.root;
      if (!root) return Status.BadArgument;
      if (profile.trapsOnMisuse && vm.stream) breach("tick-not-root", phaseName(vm.phase));
      if (profile.trapsOnMisuse && ms > 0 && root.tickMs > 0) {
        breach("tick-set-twice", `${root.tickMs} ms, then ${ms} ms`);
      }
      root.setTick(ms >>> 0, vm.clock.monotonic());
      return Status.Ok;
    },
    proxy_get_status(codePtr: number, ptrPtr: number, sizePtr: number) {
      if (bad(codePtr, 4) || bad(ptrPtr, 4) || bad(sizePtr, 4)) return outside();
      const failure = vm.callouts.failure;
      vm.memory.setU32(codePtr, failure ? Status.BrokenConnection : Status.Ok);
      return vm.memory.giveLatin1(failure ? "reset" : "", ptrPtr, sizePtr) ? Status.Ok : vm.noRoom;
    },
    proxy_set_effective_context: (id: number) => vm.setEffective(id),
    proxy_done: () => vm.doneByGuest(),
    proxy_call_foreign_function: () => Status.NotFound,

    proxy_get_shared_data(key: number, keyLen: number, ptrPtr: number, sizePtr: number, casPtr: number) {
      if (bad(key, keyLen) || bad(ptrPtr, 4) || bad(sizePtr, 4) || bad(casPtr, 4)) return outside();
      const entry = shared.get(vm.memory.latin1(key, keyLen));
      if (!entry) return Status.NotFound;
      if (!vm.memory.give(entry.value, ptrPtr, sizePtr)) {
        return profile.trapsOnMisuse
          ? breach("shared-data-no-memory", `${entry.value.length} bytes`)
          : vm.noRoom;
      }
      vm.memory.setU32(casPtr, entry.cas);
      return Status.Ok;
    },
    proxy_set_shared_data(key: number, keyLen: number, value: number, valueLen: number, cas: number) {
      if (bad(key, keyLen) || bad(value, valueLen)) return outside();
      const name = vm.memory.latin1(key, keyLen);
      const deletes = !profile.cas0Overwrites && value === 0 && valueLen === 0;
      return shared.set(
        name,
        deletes ? null : vm.memory.bytes(value, valueLen),
        cas >>> 0,
        profile.cas0Overwrites,
      );
    },
    proxy_register_shared_queue(name: number, nameLen: number, idPtr: number) {
      if (bad(name, nameLen) || bad(idPtr, 4)) return outside();
      vm.memory.setU32(idPtr, shared.registerQueue(vm.memory.latin1(name, nameLen)));
      return Status.Ok;
    },
    proxy_resolve_shared_queue(vmId: number, vmIdLen: number, name: number, nameLen: number, idPtr: number) {
      if (bad(vmId, vmIdLen) || bad(name, nameLen) || bad(idPtr, 4)) return outside();
      const id = shared.resolveQueue(vm.memory.latin1(name, nameLen));
      if (id === undefined) return Status.NotFound;
      vm.memory.setU32(idPtr, id);
      return Status.Ok;
    },
    proxy_enqueue_shared_queue(id: number, data: number, dataLen: number) {
      if (bad(data, dataLen)) return outside();
      return shared.enqueue(id, vm.memory.bytes(data, dataLen)) ? Status.Ok : Status.NotFound;
    },
    proxy_dequeue_shared_queue(id: number, ptrPtr: number, sizePtr: number) {
      if (bad(ptrPtr, 4) || bad(sizePtr, 4)) return outside();
      const item = shared.dequeue(id);
      if (item === undefined) return Status.NotFound;
      if (item === "empty") return Status.Empty;
      return vm.memory.give(item, ptrPtr, sizePtr) ? Status.Ok : vm.noRoom;
    },

    proxy_define_metric(kind: number, name: number, nameLen: number, idPtr: number) {
      if (bad(name, nameLen) || bad(idPtr, 4)) return outside();
      const id = metrics.define(kind, vm.memory.utf8(name, nameLen));
      if (id < 0) return Status.BadArgument;
      vm.memory.setU32(idPtr, id);
      return Status.Ok;
    },
    proxy_increment_metric(id: number, offset: bigint) {
      const metric = metrics.byId(id);
      if (!metric) return Status.NotFound;
      if (metric.kind !== MetricKind.Counter) {
        if (profile.metricKindsChecked) breach("metric-kind", `increment of ${metric.name}`);
        if (metric.kind === MetricKind.Histogram) return Status.BadArgument;
      } else if (offset <= 0n) {
        return Status.BadArgument;
      }
      metric.value += Number(offset);
      return Status.Ok;
    },
    proxy_record_metric(id: number, value: bigint) {
      const metric = metrics.byId(id);
      if (!metric) return Status.NotFound;
      if (profile.metricKindsChecked && metric.kind === MetricKind.Counter) {
        breach("metric-kind", `record of ${metric.name}`);
      }
      metrics.record(metric, Number(BigInt.asUintN(64, value)));
      return Status.Ok;
    },
    proxy_get_metric(id: number, resultPtr: number) {
      if (bad(resultPtr, 8)) return outside();
      const metric = metrics.byId(id);
      if (!metric) return Status.NotFound;
      if (metric.kind === MetricKind.Histogram) {
        return profile.metricKindsChecked
          ? breach("metric-kind", `read of ${metric.name}`)
          : Status.BadArgument;
      }
      vm.memory.setU64(resultPtr, BigInt.asUintN(64, BigInt(Math.trunc(metric.value))));
      return Status.Ok;
    },

    proxy_http_call(
      target: number,
      targetLen: number,
      headers: number,
      headersLen: number,
      body: number,
      bodyLen: number,
      trailers: number,
      trailersLen: number,
      timeoutMs: number,
      tokenPtr: number,
    ) {
      if (bad(target, targetLen) || bad(headers, headersLen) || bad(body, bodyLen)) return outside();
      if (bad(trailers, trailersLen) || bad(tokenPtr, 4)) return outside();
      if ((vm.phase & profile.calloutPhases) === 0) breach("callout-phase", `in ${phaseName(vm.phase)}`);
      const name = vm.memory.utf8(target, targetLen);
      const pairs = parsePairs(vm.memory.bytes(headers, headersLen));
      if (!pairs) return Status.SerializationFailure;
      if (profile.trapsOnMisuse && !TARGET.test(name)) breach("callout-target", JSON.stringify(name));
      if (!profile.trapsOnMisuse && (timeoutMs | 0) < 0) return Status.BadArgument;
      for (const needed of [":method", ":path", ":authority"]) {
        if (!pairs.some(([header]) => header === needed)) {
          return profile.trapsOnMisuse ? Status.InternalFailure : Status.BadArgument;
        }
      }
      if (!vm.root || !vm.callouts.knows(name))
        return profile.trapsOnMisuse ? Status.InternalFailure : Status.BadArgument;
      const sent = vm.memory.copy(body, bodyLen);
      vm.memory.setU32(tokenPtr, vm.callouts.send(vm.root, name, pairs, sent, timeoutMs >>> 0));
      return Status.Ok;
    },
    proxy_grpc_call: unimplemented,
    proxy_grpc_stream: unimplemented,
    proxy_grpc_send: unimplemented,
    proxy_grpc_cancel: unimplemented,
    proxy_grpc_close: unimplemented,
  };
}

const WASI_FAULT = 21;

const WASI_NOT_SUPPORTED = 58;
const REALTIME = 0;
const MONOTONIC = 1;

/** What of WASI both hosts link and a filter needs: random bytes, and clocks. Results are WASI's errno. */
export function wasiImports(vm: Vm, random: (bytes: Uint8Array) => void): Record<string, HostFunction> {
  return {
    random_get(ptr: number, len: number) {
      if (!vm.memory.has(ptr, len)) return WASI_FAULT;
      random(vm.memory.bytes(ptr, len));
      return 0;
    },
    clock_time_get(clock: number, _precision: bigint, ptr: number) {
      if (clock !== REALTIME && clock !== MONOTONIC) return WASI_NOT_SUPPORTED;
      if (!vm.memory.has(ptr, 8)) return WASI_FAULT;
      vm.memory.setU64(ptr, clock === REALTIME ? vm.clock.now() : vm.clock.monotonic());
      return 0;
    },
  };
}

/** The `env` import object of a VM: all functions that its profile links, those that trap replaced. */
export function traps(vm: Vm, functions: Record<string, HostFunction>): Record<string, HostFunction> {
  const linked: Record<string, HostFunction> = {};
  for (const [name, fn] of Object.entries(functions)) {
    if (vm.profile.unlinked.has(name)) continue;
    linked[name] = vm.profile.trapping.has(name)
      ? () => {
          throw new HostViolation("function-traps", `${name} in ${phaseName(vm.phase & Phase.Every)}`);
        }
      : fn;
  }
  return linked;
}
