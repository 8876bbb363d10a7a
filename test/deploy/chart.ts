/**
 * What the tests of the chart share: which renders there are, and reading manifests.
 *
 * Golden renders are committed, so tests that only need a manifest (those with a real Envoy) read them and do not need
 * helm; chart.test.ts says whether they are what helm renders now.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";

export const root = fileURLToPath(new URL("../../", import.meta.url));
export const at = (path: string) => `${root}${path}`;

export const STORES = ["embedded", "redis", "redis-cluster"] as const;
export const INTEGRATIONS = ["envoy", "envoy-gateway", "istio", "kong"] as const;
/** Other ways of the same integrations; what differs does not depend on the store. */
export const VARIANTS = ["envoy-gateway-patch", "istio-file", "kong-plugin", "events"] as const;

export interface Render {
  readonly integration: string;
  readonly store: string;
  /** Of the golden file, from the project's folder. */
  readonly golden: string;
}

const render = (integration: string, store: string): Render => ({
  integration,
  store,
  golden: `test/deploy/golden/${integration}.${store}.yaml`,
});

export const RENDERS: readonly Render[] = [
  ...INTEGRATIONS.flatMap((integration) => STORES.map((store) => render(integration, store))),
  ...VARIANTS.map((variant) => render(variant, "embedded")),
];

// biome-ignore lint/suspicious/noExplicitAny: manifests have no type here, and a wrong path fails the test anyway.
export type Loose = any;

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly [key: string]: Loose;
}

/** The objects of a render. Throws on YAML that does not parse. */
export function manifests(text: string): Manifest[] {
  return parseAllDocuments(text)
    .map((document) => {
      if (document.errors[0]) throw document.errors[0];
      return document.toJS() as Manifest | null;
    })
    .filter((manifest) => manifest !== null);
}

export const goldenOf = (integration: string, store: string) =>
  manifests(readFileSync(at(render(integration, store).golden), "utf8"));

export function only(all: readonly Manifest[], kind: string, name = /./): Manifest {
  const found = all.filter((manifest) => manifest.kind === kind && name.test(manifest.metadata.name));
  if (found.length !== 1 || !found[0])
    throw new Error(`${found.length} objects ${kind} ${name}: expected one`);
  return found[0];
}

/** The pod templates of a render: of workloads and of the test's pod. */
export function podSpecs(all: readonly Manifest[]): { of: string; spec: Loose }[] {
  return all.flatMap((manifest) => {
    const of = `${manifest.kind}/${manifest.metadata.name}`;
    if (manifest.kind === "Pod") return [{ of, spec: manifest.spec }];
    const spec = manifest.spec?.template?.spec;
    return spec ? [{ of, spec }] : [];
  });
}
