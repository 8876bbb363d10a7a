/**
 * The chart: lint, golden renders, Kubernetes' own schemas, and what no pod of it may have. What it refuses:
 * chart-refusals.test.ts.
 *
 *   UPDATE_GOLDEN=1 npx tsx --test test/deploy/chart.test.ts      writes test/deploy/golden anew
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { outputs } from "../../deploy/sync.ts";
import { derive } from "../../scripts/derived.ts";
import { settingsFromEnvironment } from "../../sidecar/settings.ts";
import { at, type Manifest, manifests, only, podSpecs, RENDERS } from "./chart.ts";
import { CHART, haveValidator, KUBERNETES, noHelm, python, run, template, values } from "./helm.ts";

const names = (list: { name: string }[]) => list.map(({ name }) => name);

/** `{"kind/name": what is wrong}` for each manifest that Kubernetes would refuse; `unknown` are without a schema. */
function kubernetesErrors(all: readonly Manifest[], version: string) {
  const script = `
import json, sys, kubernetes_validate
errors, unknown, checked = {}, [], 0
for manifest in json.load(sys.stdin):
    name = manifest["kind"] + "/" + manifest["metadata"]["name"]
    try:
        kubernetes_validate.validate(manifest, "${version}", strict=True)
        checked += 1
    except (kubernetes_validate.SchemaNotFoundError, kubernetes_validate.InvalidSchemaError) as error:
        unknown.append(manifest["apiVersion"] + " " + manifest["kind"])
    except kubernetes_validate.ValidationError as error:
        errors[name] = str(error.message)
json.dump({"errors": errors, "unknown": sorted(set(unknown)), "checked": checked}, sys.stdout)`;
  return JSON.parse(
    execFileSync(python, ["-c", script], {
      input: JSON.stringify(all),
      encoding: "utf8",
      maxBuffer: 1 << 24,
    }),
  ) as { errors: Record<string, string>; unknown: string[]; checked: number };
}

test("the chart's copies and its schema are current", () => {
  assert.deepEqual(derive(outputs(), true), [], "run: npx tsx deploy/sync.ts");
});

describe("the chart", { skip: noHelm }, () => {
  const rendered = new Map<string, string>();
  let scratch = "";
  before(() => {
    scratch = mkdtempSync(join(tmpdir(), "weir-chart-"));
    for (const { integration, store, golden } of RENDERS)
      rendered.set(golden, template(...values("common", `store-${store}`, integration)));
  });
  after(() => rmSync(scratch, { recursive: true, force: true }));
  const everything = () => [...rendered.values()].flatMap(manifests);

  test("passes helm lint, strictly", () => {
    const args = ["lint", CHART, "--strict", "--kube-version", KUBERNETES];
    const { status, stdout, stderr } = run([
      ...args,
      ...values("common", "store-redis", "envoy", "monitoring"),
    ]);
    assert.equal(status, 0, stdout + stderr);
  });

  for (const { golden } of RENDERS)
    test(`renders ${golden} as committed`, () => {
      const now = rendered.get(golden) ?? "";
      if (process.env.UPDATE_GOLDEN === "1") writeFileSync(at(golden), now);
      assert.ok(existsSync(at(golden)), `${golden} is missing: run with UPDATE_GOLDEN=1`);
      assert.equal(now, readFileSync(at(golden), "utf8"), "if this is meant, run with UPDATE_GOLDEN=1");
    });

  test("renders what the oldest and the newest Kubernetes schemas accept", (context) => {
    if (!haveValidator) return context.skip("no kubernetes-validate in .venv: scripts/tools.sh says why");
    for (const version of ["1.27", "1.37"]) {
      const all = RENDERS.flatMap(({ integration, store }) =>
        manifests(
          template(...values("common", `store-${store}`, integration), "--kube-version", `${version}.0`),
        ),
      );
      const { errors, unknown, checked } = kubernetesErrors(all, version);
      assert.deepEqual(errors, {}, `Kubernetes ${version}`);
      assert.ok(checked > 100, `only ${checked} manifests were checked`);
      // Schemas of these belong to their projects. test/deploy/envoy.test.ts puts what they hold into a real Envoy.
      assert.deepEqual(unknown, [
        "configuration.konghq.com/v1 KongClusterPlugin",
        "configuration.konghq.com/v1 KongPlugin",
        "gateway.envoyproxy.io/v1alpha1 ClientTrafficPolicy",
        "gateway.envoyproxy.io/v1alpha1 EnvoyExtensionPolicy",
        "gateway.envoyproxy.io/v1alpha1 EnvoyPatchPolicy",
        "gateway.envoyproxy.io/v1alpha1 EnvoyProxy",
        "networking.istio.io/v1alpha3 EnvoyFilter",
      ]);
    }
    const broken = everything()
      .slice(0, 1)
      .map((manifest) => ({ ...manifest, spec: { podSelector: 1 } }));
    assert.equal(Object.keys(kubernetesErrors(broken, "1.37").errors).length, 1, "the check can fail");
  });

  test("lets streams end before Envoy is told to, and other sidecars take over, where Kubernetes can wait", () => {
    const waits = (version: string) => {
      const args = [...values("common", "store-redis", "envoy"), "--kube-version", version];
      return podSpecs(manifests(template(...args)))
        .filter(({ spec }) => spec.containers[0].ports)
        .map(({ spec }) => [
          spec.containers[0].name,
          spec.containers[0].lifecycle?.preStop.sleep.seconds,
          spec.terminationGracePeriodSeconds,
        ]);
    };
    assert.deepEqual(waits("1.30.0").sort(), [
      ["envoy", 50, 60],
      ["sidecar", 5, 20],
    ]);
    assert.deepEqual(waits("1.29.0").sort(), [
      ["envoy", undefined, 60],
      ["sidecar", undefined, 20],
    ]);
  });

  test("gives no pod root, a writable root file system, privileges or a token", () => {
    const specs = podSpecs(everything());
    assert.ok(specs.length >= 2 * RENDERS.length);
    for (const { of, spec } of specs) {
      assert.equal(spec.automountServiceAccountToken, false, of);
      assert.equal(spec.securityContext.runAsNonRoot, true, of);
      assert.equal(spec.securityContext.seccompProfile.type, "RuntimeDefault", of);
      for (const container of [...spec.containers, ...(spec.initContainers ?? [])]) {
        const name = `${of} ${container.name}`;
        assert.equal(container.securityContext.readOnlyRootFilesystem, true, name);
        assert.equal(container.securityContext.allowPrivilegeEscalation, false, name);
        assert.deepEqual(container.securityContext.capabilities, { drop: ["ALL"] }, name);
        assert.ok(container.resources.requests.cpu && container.resources.requests.memory, name);
        assert.ok(container.resources.limits.memory, name);
      }
    }
    for (const manifest of everything().filter(({ kind }) => kind === "ServiceAccount"))
      assert.equal(manifest.automountServiceAccountToken, false);
  });

  /** What the sidecar makes of its environment; a Secret that is not the chart's holds `foreign`. */
  const sidecarSettings = (all: Manifest[], foreign: string) => {
    const { containers } = podSpecs(all).find(({ of }) => of.endsWith("/weir"))?.spec ?? {};
    const env: Record<string, string> = {};
    for (const { name, value, valueFrom } of containers[0].env) {
      const ref = valueFrom?.secretKeyRef;
      const secret = ref && all.find(({ kind, metadata }) => kind === "Secret" && metadata.name === ref.name);
      env[name] = value ?? secret?.stringData[ref.key] ?? foreign;
    }
    return settingsFromEnvironment(env);
  };

  test("gives the sidecar settings that it takes, for every store", () => {
    const settingsOf = (store: string) => {
      const all = manifests(template(...values("common", `store-${store}`)));
      const { host, port, ledger, adminToken } = sidecarSettings(
        all,
        "redis://a:b@one:6379,redis://a:b@two:6379",
      );
      assert.deepEqual([host, port], ["0.0.0.0", 8081]);
      return { ledger, adminToken };
    };
    assert.deepEqual(settingsOf("embedded"), {
      ledger: { kind: "embedded", directory: "/var/lib/weir" },
      adminToken: "",
    });
    const url = "rediss://weir:p%40ss%2Fw%20rd%2B1@redis.data.svc:6380";
    assert.deepEqual(settingsOf("redis"), {
      ledger: { kind: "redis", urls: [url], cluster: false },
      adminToken: "not-a-real-token",
    });
    assert.deepEqual(settingsOf("redis-cluster").ledger, {
      kind: "redis",
      urls: ["redis://a:b@one:6379", "redis://a:b@two:6379"],
      cluster: true,
    });
  });

  test("gives the sidecar settings that it takes, for every place that events go to", () => {
    const all = manifests(template(...values("common", "store-embedded", "events")));
    const foreign = "what-its-owner-put-there";
    assert.deepEqual(sidecarSettings(all, foreign).events, {
      file: "-",
      pseudonymKey: foreign,
      webhook: { url: "https://hooks.example.com/weir", secret: "not-a-real-secret" },
      moderators: [
        { name: "openai", url: "https://api.openai.com/v1/moderations", key: foreign },
        { name: "", url: "http://guard.moderation.svc:8000/v1/moderations", key: "" },
      ],
      otlp: {
        tracesUrl: "http://collector.observability.svc:4318/v1/traces",
        logsUrl: "http://collector.observability.svc:4318/v1/logs",
        headers: { "api-key": "not a real key" },
        timeoutMs: 10_000,
        resource: { "service.name": "gateway", "deployment.environment.name": "prod" },
      },
    });
    const egress = only(all, "NetworkPolicy").spec.egress.at(-1);
    assert.deepEqual(
      egress.ports.map(({ port }: { port: number }) => port),
      [443, 4318, 8000],
      "it may reach them",
    );
    for (const manifest of all.filter(({ kind }) => kind !== "Secret"))
      assert.doesNotMatch(
        JSON.stringify(manifest),
        /not-a-real-secret|not%20a%20real|not a real/,
        manifest.kind,
      );
    const bare = manifests(template(...values("common", "store-embedded")));
    assert.equal(bare.filter(({ kind }) => kind === "Secret").length, 0);
    assert.equal(only(bare, "NetworkPolicy").spec.egress.length, 1, "names alone may be looked up");
  });

  test("has callers leave a connection sooner than the Envoy that ends waits, so that none of their requests breaks off", () => {
    const all = manifests(template(...values("common", "envoy")));
    const [config] = manifests(only(all, "ConfigMap", /-envoy$/).data["envoy.yaml"]) as Manifest[];
    const manager = config?.static_resources.listeners[0].filter_chains[0].filters[0].typed_config;
    const envoy = podSpecs(all).find(({ of }) => of === "Deployment/weir-envoy")?.spec.containers[0];
    const { seconds } = envoy.lifecycle.preStop.sleep;
    const { max_connection_duration: longest } = manager.common_http_protocol_options;
    // Idle leases go back after that, and streams have some time.
    assert.ok(Number.parseInt(longest, 10) + 15 <= seconds, `${longest} of ${seconds} s`);
    assert.equal(manager.http1_safe_max_connection_duration, true, "between two requests");
  });

  test("has every gateway buffer the largest body that a tier lets in, so that Envoy does not refuse it itself", () => {
    const limits = (bytes: string) => {
      const files = values("common", "envoy", "istio", "envoy-gateway-patch");
      const text = template(...files, "--set", `policy.tiers.pro.prompt.max_bytes=${bytes}`);
      const found = text.matchAll(/(?:per_connection_buffer_limit_bytes|bufferLimit): (\d+)/g);
      return [...found].map(([, limit]) => Number(limit));
    };
    for (const [bytes, expected] of [
      ["64Ki", 4 << 20],
      ["4Mi", 5 << 20],
      ["10000000", 10_000_000 + (1 << 20)],
      ["16Mi", 17 << 20],
    ] as const)
      assert.deepEqual(limits(bytes), [expected, expected, expected], bytes);
  });

  test("renders a pod with the filter's image as a volume that Kubernetes accepts", (context) => {
    if (!haveValidator) return context.skip("no kubernetes-validate in .venv: scripts/tools.sh says why");
    const args = ["--set", "filter.delivery=imageVolume", "--set", "filter.image.tag=1.2.3"];
    const all = manifests(template(...values("common", "envoy"), ...args));
    const spec = podSpecs(all).find(({ of }) => of === "Deployment/weir-envoy")?.spec;
    assert.deepEqual(names(spec.initContainers), ["check-policy"]);
    const filter = spec.volumes.find(({ name }: { name: string }) => name === "filter");
    assert.equal(filter.image.reference, "ghcr.io/weir/weir-filter:1.2.3");
    assert.match(
      only(all, "ConfigMap", /-envoy$/).data["envoy.yaml"],
      /filename: \/weir-filter\/plugin\.wasm/,
    );
    assert.deepEqual(kubernetesErrors(all, "1.37").errors, {});
  });

  test("checks the policy before an Envoy starts, so that one that would refuse everybody ends a roll at its first pod", () => {
    const all = manifests(template(...values("common", "envoy")));
    const spec = podSpecs(all).find(({ of }) => of === "Deployment/weir-envoy")?.spec;
    assert.deepEqual(names(spec.initContainers), ["check-policy", "filter"]);
    const [check] = spec.initContainers;
    const [command, file] = check.args;
    assert.equal(command, "check");
    const [{ name, mountPath }] = check.volumeMounts;
    const map = spec.volumes.find((volume: { name: string }) => volume.name === name).configMap.name;
    const { data } = only(all, "ConfigMap", new RegExp(`^${map}$`));
    assert.ok(data[(file as string).slice(`${mountPath}/`.length)]);
  });

  test("keeps passwords in Secrets and percent-encodes them into the URL", () => {
    const all = manifests(template(...values("common", "store-redis", "envoy")));
    const url = only(all, "Secret", /redis/).stringData["redis-url"] as string;
    const parsed = new URL(url);
    assert.equal(decodeURIComponent(parsed.username), "weir");
    assert.equal(decodeURIComponent(parsed.password), "p@ss/w rd+1");
    assert.equal(parsed.host, "redis.data.svc:6380");
    for (const manifest of all.filter(({ kind }) => kind !== "Secret"))
      assert.doesNotMatch(JSON.stringify(manifest), /p@ss|p%40ss|not-a-real-token/, manifest.kind);
  });

  test("does not let a password be guessed from a checksum", () => {
    const annotations = (password: string) => {
      const set = ["--set", `ledger.redis.password=${password},admin.token=${password}${"x".repeat(16)}`];
      const [sidecar] = manifests(template(...values("common", "store-redis"), ...set)).filter(
        ({ kind, metadata }) => kind === "Deployment" && metadata.name === "weir",
      );
      return sidecar?.spec.template.metadata.annotations;
    };
    assert.deepEqual(annotations("one"), annotations("two"));
  });

  test("starts new pods when the upstream's credential is under another key of its Secret", () => {
    const checksum = (key: string) => {
      const credential = "integrations.envoy.upstream.credential";
      const set = ["--set", `${credential}.existingSecret=llm,${credential}.key=${key}`];
      const all = manifests(template(...values("common", "store-redis", "envoy"), ...set));
      const envoy = all.find(({ kind, metadata }) => kind === "Deployment" && metadata.name === "weir-envoy");
      return envoy?.spec.template.metadata.annotations["checksum/config"];
    };
    assert.match(checksum("first"), /^[0-9a-f]{64}$/);
    assert.notEqual(checksum("first"), checksum("second"));
  });

  test("serves the dashboard and the alert rules as they are written", () => {
    const all = manifests(template(...values("common", "store-redis", "envoy", "monitoring")));
    const files = outputs();
    const dashboard = JSON.parse(files[`${CHART}/files/observability/dashboard.json`] ?? "");
    assert.deepEqual(JSON.parse(only(all, "ConfigMap", /dashboard/).data["weir.json"]), dashboard);
    const [rules] = manifests(files[`${CHART}/files/observability/alerts.yaml`] ?? "");
    assert.deepEqual(only(all, "PrometheusRule").spec.groups, rules?.groups);
    const monitor = only(all, "ServiceMonitor");
    assert.equal(monitor.metadata.name, "weir");
    const pods = only(all, "PodMonitor").spec.podMetricsEndpoints[0].port;
    const envoy = podSpecs(all).find(({ of }) => of === "Deployment/weir-envoy");
    assert.ok(envoy?.spec.containers[0].ports.some((port: { name: string }) => port.name === pods));
  });

  test("takes the values of both GitOps examples, which are the same", () => {
    const [application] = manifests(readFileSync(at("deploy/gitops/argocd.yaml"), "utf8"));
    const release = only(manifests(readFileSync(at("deploy/gitops/flux.yaml"), "utf8")), "HelmRelease");
    const given = application?.spec.source.helm.valuesObject;
    assert.deepEqual(release.spec.values, given);
    const file = join(scratch, "gitops.json");
    writeFileSync(file, JSON.stringify(given));
    assert.equal(only(manifests(template("-f", file)), "EnvoyFilter").metadata.name, "weir");
  });

  test("looks for a gateway by the labels that were given and no others: with one too many no pod would have the filter", () => {
    const selectorOf = (...set: string[]) => {
      const all = manifests(template(...values("common", "istio", "kong"), ...set));
      const { from } = only(all, "NetworkPolicy").spec.ingress[0];
      const { labels } = only(all, "EnvoyFilter").spec.workloadSelector;
      assert.deepEqual(from[1].podSelector.matchLabels, labels);
      return [labels, from[2].podSelector.matchLabels];
    };
    assert.deepEqual(selectorOf(), [{ istio: "ingressgateway" }, { "app.kubernetes.io/name": "gateway" }]);
    const own = "integrations.istio.selector.app=edge,integrations.kong.selector.app=kong";
    assert.deepEqual(selectorOf("--set", own), [{ app: "edge" }, { app: "kong" }]);
  });

  test("takes Kong's plugin that sees answers only where the policy looks into them", () => {
    const pluginOf = (way: string, tier: object) => {
      const policy = JSON.stringify({ tiers: { free: {}, pro: tier } });
      const kong = ["--set", "integrations.kong.enabled=true", "--set", `integrations.kong.way=${way}`];
      const text = template(...values("common", "store-embedded"), ...kong, "--set-json", `policy=${policy}`);
      return only(manifests(text), "KongPlugin", /^weir$/).plugin;
    };
    for (const tier of [{}, { response: { on_abort: "reserved" } }, { prompt: { redact: ["email"] } }])
      assert.equal(pluginOf("plugin", tier), "weir");
    for (const tier of [
      { response: { redact: ["email"] } },
      { response: { canaries: ["Level seven"] } },
      { response: { compressed: "refuse" } },
      { prompt: { redact: { email: "reversible" } } },
    ]) {
      assert.equal(pluginOf("plugin", tier), "weir-buffered");
      assert.equal(pluginOf("filter", tier), "weir");
    }
  });

  test("tells what to do next for each integration", () => {
    // `helm template` leaves the notes out, and `helm install --dry-run` wants a cluster: so a copy of the chart in which
    // an object holds them.
    const copy = join(scratch, "weir");
    cpSync(at(CHART), copy, { recursive: true });
    const notes = '{{ include (print .Template.BasePath "/NOTES.txt") . | toJson }}';
    const object = ["apiVersion: v1", "kind: Notes", "metadata: { name: notes }", `text: ${notes}`];
    writeFileSync(join(copy, "templates/notes.yaml"), object.join("\n"));
    for (const [integration, expected] of [
      ["envoy", /port-forward svc\/weir-envoy/],
      ["envoy-gateway", /parametersRef.*Request headers are not held/s],
      ["istio", /rollout restart/],
      ["kong", /konghq\.com\/plugins: weir/],
    ] as const) {
      const args = [
        "template",
        "weir",
        copy,
        "--kube-version",
        KUBERNETES,
        "--show-only",
        "templates/notes.yaml",
      ];
      const { stdout, stderr } = run([...args, ...values("common", "store-embedded", integration)]);
      assert.equal(stderr, "");
      assert.match(only(manifests(stdout), "Notes").text, expected);
    }
  });
});
