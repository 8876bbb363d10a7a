// A guest that does in each callback what its configuration says; the tests of host/ run it.
//
// A configuration is lines of `PHASE OPERATION ARGUMENTS`; phases: start configure tick reqh reqb resph respb callout log
// done delete, and reqb.end, respb.end for the last body callback only. Every operation logs `PHASE OPERATION=STATUS VALUE`;
// `return N` sets what the callback returns, `alone` whether this is the only root. A free last argument may hold spaces. It allocates and never frees.
import * as env from "./abi.entry";
import "./abort";

const roots = new Map<u32, string[]>();
const parents = new Map<u32, u32>();
const out = heap.alloc(16);
let lastStream: u32 = 0;
let lastCas: u32 = 0;
let lastMetric: u32 = 0;
let lastQueue: u32 = 0;
let starved = false;
let bodySize: u32 = 0;
let label = "";

function utf8(s: string): ArrayBuffer {
  return String.UTF8.encode(s);
}
function at(b: ArrayBuffer): usize {
  return changetype<usize>(b);
}
function say(text: string): void {
  const b = utf8(text);
  env.log(2, at(b), b.byteLength);
}
function answer(op: string, status: u32, value: string = ""): void {
  say(label + " " + op + "=" + status.toString() + (value.length > 0 ? " " + value : ""));
}
/** What the host gave at `out`: pointer and length. */
function given(max: u32 = 64): string {
  const len = load<u32>(out, 4);
  return String.UTF8.decodeUnsafe(load<u32>(out), len < max ? len : max);
}
function rest(words: string[], from: i32): string {
  return from < words.length ? words.slice(from).join(" ") : "";
}
function num(words: string[], i: i32): u32 {
  if (i >= words.length) return 0;
  return words[i] == "all" ? bodySize : <u32>I64.parseInt(words[i]);
}
/** Serialised header pairs from `name:value,name:value`; a name may start with a colon. */
function pairs(text: string): ArrayBuffer {
  const list = text.length > 0 ? text.split(",") : new Array<string>(0);
  let total = 4;
  for (let i = 0; i < list.length; i++) total += 10 + list[i].length - 1;
  const b = new ArrayBuffer(total);
  store<u32>(at(b), list.length);
  let p = at(b) + 4 + 8 * list.length;
  for (let i = 0; i < list.length; i++) {
    const colon = list[i].indexOf(":", 1);
    const name = utf8(list[i].slice(0, colon));
    const value = utf8(list[i].slice(colon + 1));
    store<u32>(at(b) + 4 + 8 * i, name.byteLength);
    store<u32>(at(b) + 8 + 8 * i, value.byteLength);
    memory.copy(p, at(name), name.byteLength);
    p += name.byteLength + 1;
    memory.copy(p, at(value), value.byteLength);
    p += value.byteLength + 1;
  }
  return b;
}

function perform(op: string, w: string[]): void {
  const a = utf8(w.length > 3 ? w[3] : "");
  const tail = utf8(rest(w, 4));
  store<u64>(out, 0);
  if (op == "get") {
    const s = env.getHeader(num(w, 2), at(a), a.byteLength, out, out + 4);
    answer(op, s, s == 0 ? given() : "");
  } else if (op == "add")
    answer(op, env.addHeader(num(w, 2), at(a), a.byteLength, at(tail), tail.byteLength));
  else if (op == "replace")
    answer(op, env.replaceHeader(num(w, 2), at(a), a.byteLength, at(tail), tail.byteLength));
  else if (op == "remove") answer(op, env.removeHeader(num(w, 2), at(a), a.byteLength));
  else if (op == "pairs") {
    const s = env.getPairs(num(w, 2), out, out + 4);
    answer(op, s, load<u32>(out) ? load<u32>(load<u32>(out)).toString() : "none");
  } else if (op == "setpairs") {
    const p = pairs(rest(w, 3));
    answer(op, env.setPairs(num(w, 2), at(p), p.byteLength));
  } else if (op == "read") {
    const s = env.getBuffer(num(w, 2), num(w, 3), num(w, 4), out, out + 4);
    answer(op, s, load<u32>(out, 4).toString() + ":" + given());
  } else if (op == "size") {
    const s = env.bufferStatus(num(w, 2), out, out + 4);
    answer(op, s, load<u32>(out).toString());
  } else if (op == "write") {
    const text = utf8(rest(w, 5));
    answer(op, env.setBuffer(num(w, 2), num(w, 3), num(w, 4), at(text), text.byteLength));
  } else if (op == "call") {
    const target = utf8(w[2]);
    const h = pairs(":method:POST,:path:/x,:authority:side");
    const text = utf8(rest(w, 4));
    answer(
      op,
      env.httpCall(
        at(target),
        target.byteLength,
        at(h),
        h.byteLength,
        at(text),
        text.byteLength,
        0,
        0,
        num(w, 3),
        out,
      ),
    );
  } else if (op == "continue") answer(op, env.continueStream(num(w, 2)));
  else if (op == "close") answer(op, env.closeStream(num(w, 2)));
  else if (op == "local") {
    const h = pairs("x-local:yes");
    answer(op, env.local(num(w, 2), at(a), a.byteLength, at(tail), tail.byteLength, at(h), h.byteLength, -1));
  } else if (op == "sget") {
    const key = utf8(w[2]);
    const s = env.getShared(at(key), key.byteLength, out, out + 4, out + 8);
    lastCas = s == 0 ? load<u32>(out, 8) : 0;
    answer(op, s, s == 0 ? given() : "");
  } else if (op == "sset" || op == "sdel") {
    const key = utf8(w[2]);
    const cas = w[3] == "last" ? lastCas : num(w, 3);
    const del = op == "sdel";
    answer(op, env.setShared(at(key), key.byteLength, del ? 0 : at(tail), del ? 0 : tail.byteLength, cas));
  } else if (op == "queue") {
    const name = utf8(w[2]);
    const text = utf8(rest(w, 3));
    env.registerQueue(at(name), name.byteLength, out);
    lastQueue = load<u32>(out);
    answer(op, env.enqueue(lastQueue, at(text), text.byteLength));
  } else if (op == "dequeue") {
    const s = env.dequeue(lastQueue, out, out + 4);
    answer(op, s, s == 0 ? given() : "");
  } else if (op == "metric") {
    const s = env.defineMetric(num(w, 2), at(a), a.byteLength, out);
    lastMetric = load<u32>(out);
    answer(op, s);
  } else if (op == "increment") answer(op, env.incrementMetric(lastMetric, num(w, 2)));
  else if (op == "record") answer(op, env.recordMetric(lastMetric, num(w, 2)));
  else if (op == "measure") {
    const s = env.getMetric(lastMetric, out);
    answer(op, s, load<u64>(out).toString());
  } else if (op == "tick") answer(op, env.tick(num(w, 2)));
  else if (op == "time") {
    const s = env.time(out);
    answer(op, s, load<u64>(out).toString());
  } else if (op == "property" || op == "number") {
    const path = utf8(w[2].split("/").join("\0"));
    const s = env.getProperty(at(path), path.byteLength, out, out + 4);
    answer(op, s, s != 0 ? "" : op == "number" ? load<u64>(load<u32>(out)).toString() : given());
  } else if (op == "setproperty") {
    const path = utf8(w[2]);
    answer(op, env.setProperty(at(path), path.byteLength, at(a), a.byteLength));
  } else if (op == "effective") answer(op, env.effective(w.length > 2 ? num(w, 2) : lastStream));
  else if (op == "foreign") answer(op, env.foreign(out, 0, out, 0, out, out + 4));
  else if (op == "status") {
    const s = env.status(out + 8, out, out + 4);
    answer(op, s, load<u32>(out, 8).toString() + " " + given());
  } else if (op == "done") answer(op, env.done());
  else if (op == "wild") answer(op, env.log(2, 0xfffffff0, 64));
  else if (op == "starve") starved = true;
  else if (op == "feed") starved = false;
  else if (op == "trap") unreachable();
}

function play(phase: string, context: u32, missing: u32, end: bool = false): u32 {
  const root = parents.has(context) ? parents.get(context) : context;
  let result = missing;
  if (!roots.has(root)) return result;
  const lines = roots.get(root);
  for (let i = 0; i < lines.length; i++) {
    const words = lines[i].trim().split(" ");
    if (words[0] != phase && !(end && words[0] == phase + ".end")) continue;
    label = phase;
    if (words[1] == "return") result = num(words, 2);
    else if (words[1] == "alone") result = roots.size == 1 ? 1 : 0;
    else perform(words[1], words);
  }
  return result;
}

export function proxy_abi_version_0_2_1(): void {}
export function proxy_on_memory_allocate(size: u32): usize {
  return starved ? 0 : heap.alloc(size);
}
export function proxy_on_context_create(context: u32, parent: u32): void {
  if (parent) {
    parents.set(context, parent);
    lastStream = context;
  }
}
export function proxy_on_vm_start(context: u32, size: u32): u32 {
  return 1;
}
export function proxy_on_configure(context: u32, size: u32): u32 {
  env.getBuffer(7, 0, size, out, out + 4);
  roots.set(context, given(0xffffffff).split("\n"));
  return play("configure", context, 1);
}
export function proxy_on_tick(context: u32): void {
  play("tick", context, 0);
}
export function proxy_on_request_headers(context: u32, count: u32, end: u32): u32 {
  say("> reqh " + count.toString() + " " + end.toString());
  return play("reqh", context, 0);
}
export function proxy_on_request_body(context: u32, size: u32, end: u32): u32 {
  say("> reqb " + size.toString() + " " + end.toString());
  bodySize = size;
  return play("reqb", context, 0, end != 0);
}
export function proxy_on_response_headers(context: u32, count: u32, end: u32): u32 {
  say("> resph " + count.toString() + " " + end.toString());
  return play("resph", context, 0);
}
export function proxy_on_response_body(context: u32, size: u32, end: u32): u32 {
  say("> respb " + size.toString() + " " + end.toString());
  bodySize = size;
  return play("respb", context, 0, end != 0);
}
export function proxy_on_http_call_response(
  context: u32,
  token: u32,
  headers: u32,
  size: u32,
  trailers: u32,
): void {
  say(
    "> callout " +
      (parents.has(context) ? "stream" : "root") +
      " " +
      headers.toString() +
      " " +
      size.toString(),
  );
  bodySize = size;
  play("callout", context, 0);
}
export function proxy_on_log(context: u32): void {
  say("> log");
  play("log", context, 0);
}
export function proxy_on_done(context: u32): u32 {
  say("> done");
  return play("done", context, 1);
}
export function proxy_on_delete(context: u32): void {
  say("> delete");
  play("delete", context, 0);
}
