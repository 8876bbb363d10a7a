// Host calls as typed functions on slices. Each is one ABI call; what the host returns lives in the scratch
// arena until the callback ends. A failed read is `NONE`, never an exception.
import { reserve } from "../memory";
import { lenOf, NONE, ptrOf, Slice, slice } from "../slice";
import {
  BufferType,
  clock_time_get,
  LogLevel,
  proxy_continue_stream,
  proxy_define_metric,
  proxy_get_buffer_bytes,
  proxy_get_current_time_nanoseconds,
  proxy_get_property,
  proxy_increment_metric,
  proxy_log,
  proxy_record_metric,
  proxy_set_buffer_bytes,
  proxy_set_effective_context,
  proxy_set_tick_period_milliseconds,
  Status,
  StreamType,
} from "./abi";

// Out-parameters: | pointer u32 | size u32 | time or id u64 |
const out = reserve(16);

/** The slice that a host call left in the out-parameters, if its status says that it did. */
function returned(status: i32): Slice {
  return status == Status.Ok ? slice(<usize>load<u32>(out), load<i32>(out + 4)) : NONE;
}

function clear(): void {
  store<u64>(out, 0);
}

const MONOTONIC: i32 = 1;

/**
 * Nanoseconds by the machine's monotonic clock, the same in all workers: what rates, leases and waits go by, because nobody sets it.
 * 0: the host has none.
 */
export function now(): u64 {
  return clock_time_get(MONOTONIC, 0, out + 8) == 0 ? load<u64>(out + 8) : 0;
}

/** Nanoseconds since 1970 by the host's clock, which may be set at any time: for what the world dates. */
export function wallTime(): u64 {
  proxy_get_current_time_nanoseconds(out + 8);
  return load<u64>(out + 8);
}

export function log(level: LogLevel, text: Slice): void {
  proxy_log(level, ptrOf(text), lenOf(text));
}

/** A property by its path, whose segments are separated by NUL; NONE when the host has none. */
export function property(path: Slice): Slice {
  clear();
  return returned(proxy_get_property(ptrOf(path), lenOf(path), out, out + 4));
}

/** Whether there is a property, also one that the host cannot hand over: for Envoy what is null, or has a null in it. */
export function hasProperty(path: Slice): bool {
  clear();
  const status = proxy_get_property(ptrOf(path), lenOf(path), out, out + 4);
  return status == Status.Ok || status == Status.SerializationFailure;
}

/** The first `length` bytes of a buffer. Reads the whole at once: ngx_wasm_module ignores offsets. */
export function bufferBytes(buffer: BufferType, length: i32): Slice {
  clear();
  return returned(proxy_get_buffer_bytes(buffer, 0, length, out, out + 4));
}

/** `length` bytes of a buffer from `start` on. For hosts other than nginx. */
export function bufferBytesFrom(buffer: BufferType, start: i32, length: i32): Slice {
  clear();
  return returned(proxy_get_buffer_bytes(buffer, start, length, out, out + 4));
}

/** Replaces the first `old` bytes (all that the callback was told of) by `data`. */
export function replaceBuffer(buffer: BufferType, old: i32, data: Slice): bool {
  const length = max(old, lenOf(data));
  return proxy_set_buffer_bytes(buffer, 0, length, ptrOf(data), lenOf(data)) == Status.Ok;
}

/** Puts `data` before what the buffer holds. Envoy only: ngx_wasm_module ignores offsets. */
export function prependBuffer(buffer: BufferType, data: Slice): bool {
  return proxy_set_buffer_bytes(buffer, 0, 0, ptrOf(data), lenOf(data)) == Status.Ok;
}

export function setEffectiveContext(context: i32): bool {
  return proxy_set_effective_context(context) == Status.Ok;
}

export function continueRequest(): void {
  proxy_continue_stream(StreamType.Request);
}

export function setTickPeriod(ms: u32): void {
  proxy_set_tick_period_milliseconds(ms);
}

/** Defines a metric at configuration; returns its id, or -1 when the host refuses. */
export function defineMetric(type: i32, name: Slice): i32 {
  return proxy_define_metric(type, ptrOf(name), lenOf(name), out) == Status.Ok ? load<i32>(out) : -1;
}

export function increment(metric: i32, by: i64 = 1): void {
  if (metric >= 0) proxy_increment_metric(metric, by);
}

export function record(metric: i32, value: u64): void {
  if (metric >= 0) proxy_record_metric(metric, value);
}
