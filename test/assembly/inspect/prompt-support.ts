// Finds the prompt of a request in Wasm, for tests.
import { leaf } from "../../support/leaf.ts";
import { ERRORS } from "../json/support.ts";

const SHAPES = [
  "unknown",
  "chat",
  "responses",
  "completions",
  "embeddings",
  "messages",
  "gemini",
  "ollama-chat",
  "ollama-generate",
  "interactions",
];
const TRUSTS = ["system", "user", "assistant", "untrusted"];
const ROOM = 1 << 20;

/** `find` of a path, a body and a method; `scalar`: of the build without SIMD. */
export async function openFinder(scalar = false) {
  const {
    exports: x,
    reserve,
    write,
    text,
  } = await leaf("test/assembly/inspect/prompt.entry.ts", { scalar });
  const at = reserve(ROOM);
  const str = (s: bigint) => text(Number(s >> 32n), Number(s & 0xffffffffn));
  return (path: string, body: Uint8Array, method = "POST") => {
    const parts = [body, Buffer.from(path), Buffer.from(method)];
    const args: number[] = [];
    let ptr = at;
    for (const part of parts) {
      write(ptr, part);
      args.push(ptr, part.length);
      ptr += part.length;
    }
    const code = x.find(...args);
    if (code) return { error: ERRORS[code] };
    return {
      shape: SHAPES[x.shape()],
      spans: Array.from({ length: x.count() }, (_, i) => {
        const value = str(x.raw(i));
        return [
          `${TRUSTS[x.trust(i)]}${x.isKey(i) ? " key" : ""}`,
          x.escaped(i) ? JSON.parse(`"${value}"`) : value,
        ];
      }),
      tooMany: x.tooMany() === 1,
      media: x.media(),
      tokenIds: x.tokenIds(),
      unknownPart: str(x.unknownPart()),
      messages: x.messages(),
      empty: x.nonEmpty() ? "" : str(x.emptyAt()),
      model: str(x.model()),
      oddPath: x.oddPath() === 1,
      stream: x.stream() === 1,
      includeUsage: x.includeUsage() === 1,
      limit: Number(x.limit()),
      limitCount: x.limitCount(),
      n: Number(x.n()),
      bestOf: Number(x.bestOf()),
      bad: str(x.bad()),
    };
  };
}
