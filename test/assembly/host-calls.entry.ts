// The host calls that Weir makes for a request with local limits and its JSON answer, in its order and with values of its lengths, and
// nothing else: nothing is looked at and nothing is decided. What Envoy needs for this no filter that does what Weir does can be below.
// A test holds it against the filter (test/filter/host-calls.test.ts).
import { lit, Slice } from "../../assembly/slice";
import { BufferType, MapType } from "../../assembly/proxy-wasm/abi";
import { arenaReserve, arenaReset, arenaTake } from "../../assembly/proxy-wasm/arena";
import { addHeader, openHeaders, removeHeader, setHeader } from "../../assembly/proxy-wasm/headers";
import { bufferBytes, now } from "../../assembly/proxy-wasm/host";
import { sharedCreate, sharedGet, sharedSwap, sharedVersion } from "../../assembly/proxy-wasm/shared-data";

const CONTINUE: i32 = 0;
const PAUSE: i32 = 1;
const record = lit("rate bucket: 24 bytes...");
const shard = lit("weir.s.1");
const subject = lit("bench/team/key");
const tier = lit("pro");
const lane = lit("default");
const rate = lit('"requests";q=1000000;w=1');
const state = lit('"requests";r=999999;t=1');
const count = lit("1000000");
const verdict = lit("ok");
const added: Slice[] = [lit("x-weir-subject"), lit("x-weir-tier"), lit("x-weir-lane")];
const answered: Slice[] = [
  lit("ratelimit-policy"),
  lit("ratelimit"),
  lit("x-ratelimit-limit-requests"),
  lit("x-ratelimit-remaining-requests"),
  lit("x-ratelimit-reset-requests"),
  lit("x-weir-verdict"),
];
const values: Slice[] = [rate, state, count, count, lit("1"), verdict];
const authorization = lit("authorization");
const forged: Slice[] = [lit("x-weir-model"), lit("x-weir-budget-warning")];

export function proxy_abi_version_0_2_1(): void {}

export function proxy_on_memory_allocate(size: i32): usize {
  return arenaTake(<usize>size);
}

export function proxy_on_context_create(context: u32, parent: u32): void {
  if (parent != 0) return;
  arenaReserve(1 << 20);
  sharedCreate(shard, record);
}

export function proxy_on_vm_start(root: u32, size: i32): i32 {
  return 1;
}

export function proxy_on_configure(root: u32, size: i32): i32 {
  return 1;
}

export function proxy_on_request_headers(context: u32, headers: i32, end: i32): i32 {
  arenaReset();
  now();
  openHeaders(MapType.RequestHeaders);
  sharedGet(shard);
  sharedSwap(shard, record, sharedVersion());
  removeHeader(MapType.RequestHeaders, authorization);
  addHeader(MapType.RequestHeaders, unchecked(added[0]), subject);
  addHeader(MapType.RequestHeaders, unchecked(added[1]), tier);
  addHeader(MapType.RequestHeaders, unchecked(added[2]), lane);
  return end ? CONTINUE : PAUSE;
}

export function proxy_on_request_body(context: u32, size: i32, end: i32): i32 {
  arenaReset();
  if (!end) return PAUSE;
  bufferBytes(BufferType.RequestBody, size);
  return CONTINUE;
}

export function proxy_on_response_headers(context: u32, headers: i32, end: i32): i32 {
  arenaReset();
  for (let i = 0; i < forged.length; i++) removeHeader(MapType.ResponseHeaders, unchecked(forged[i]));
  for (let i = 0; i < answered.length; i++)
    setHeader(MapType.ResponseHeaders, unchecked(answered[i]), unchecked(values[i]));
  return CONTINUE;
}

export function proxy_on_response_body(context: u32, size: i32, end: i32): i32 {
  return CONTINUE;
}

export function proxy_on_log(context: u32): void {}

export function proxy_on_delete(context: u32): void {}
