// Where AssemblyScript's `abort` goes. ngx_wasm_module links no `env.abort`, so the module brings its own: say
// where, then trap, which fails the request closed. Nothing on the request path may get here.
import { reserve } from "../memory";
import { LogLevel, proxy_log } from "./abi";

const TEXT_MAX = 256;
const text = reserve(TEXT_MAX);

export function abort(
  message: string | null = null,
  file: string | null = null,
  line: u32 = 0,
  column: u32 = 0,
): void {
  let at = append(0, "weir: bug: ");
  if (message) at = append(at, message);
  at = append(at, " in ");
  if (file) at = append(at, file);
  at = append(at, ":");
  at = number(at, line);
  at = append(at, ":");
  at = number(at, column);
  proxy_log(LogLevel.Critical, text, at);
  unreachable();
}

function append(at: i32, s: string): i32 {
  const n = min(s.length, TEXT_MAX - at);
  for (let i = 0; i < n; i++) store<u8>(text + at + i, <u8>s.charCodeAt(i));
  return at + n;
}

function number(at: i32, value: u32): i32 {
  if (value >= 10) at = number(at, value / 10);
  if (at < TEXT_MAX) store<u8>(text + at, <u8>(48 + (value % 10)));
  return min(at + 1, TEXT_MAX);
}
