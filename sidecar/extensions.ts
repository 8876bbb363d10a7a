/** Several extensions of the sidecar as one: each hook tells all of them, in their order. */
import type { Extensions } from "./server.ts";

type Hook = (...args: unknown[]) => unknown;

/**
 * `http` is the first's that takes the request, `methods` are all of them, `around` is the first there is, and a notice is
 * told when everybody has told it.
 */
export function combine(...parts: readonly Extensions[]): Extensions {
  const hooks: Record<string, Hook> = {};
  for (const name of new Set(parts.flatMap((part) => Object.keys(part)))) {
    if (["http", "methods", "around", "tellNotice"].includes(name)) continue;
    const all = parts
      .map((part) => (part as Record<string, unknown>)[name])
      .filter((hook): hook is Hook => typeof hook === "function");
    hooks[name] = (...args) => {
      for (const hook of all) hook(...args);
    };
  }
  const tellers = parts.flatMap(({ tellNotice }) => tellNotice ?? []);
  const around = parts.find((part) => part.around)?.around;
  return {
    ...hooks,
    http: (request, response, ledger) =>
      parts.some((part) => part.http?.(request, response, ledger) === true),
    methods: new Map(parts.flatMap((part) => [...(part.methods ?? [])])),
    ...(around && { around }),
    tellNotice: async (notice) => {
      const told = await Promise.all(tellers.map((tell) => tell(notice)));
      return told.every(Boolean);
    },
  };
}
