/** Another policy in the configuration of a running Envoy. */
import { renameSync, writeFileSync } from "node:fs";

const quoted = (policy: object): string => JSON.stringify(JSON.stringify(policy));

/** A part of the configuration that has the policy `from`, with `to` in its place. */
export function withPolicy(text: string, from: object, to: object): string {
  return text.replace(quoted(from), quoted(to));
}

/** Writes what Envoy watches: by a file that takes the other's place. */
export function putWatched(file: string, text: string): void {
  writeFileSync(`${file}.next`, text);
  renameSync(`${file}.next`, file);
}
