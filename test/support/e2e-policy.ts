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

const TYPE = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

/** The configuration `text` with its filter in a file of its own (ECDS): the one without it, and the content of `file`. */
export function discovered(text: string, file: string): { config: string; filter: string } {
  const [start, end] = [text.indexOf("- name: weir\n"), text.indexOf("- name: envoy.filters.http.router")];
  // What stands below `typed_config`, with the indentation that it has there.
  const settings = text.slice(text.indexOf('"@type"', start), end).trimEnd();
  const filter = `resources:
                  - "@type": type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig
                    name: weir
                    typed_config:
                      ${settings}
`;
  const config = `${text.slice(0, start)}- name: weir
                    config_discovery:
                      type_urls: [${TYPE}]
                      config_source: { resource_api_version: V3, path_config_source: { path: ${file} } }
                  ${text.slice(end)}
node: { id: edge-1, cluster: edges }
`;
  return { config, filter };
}
