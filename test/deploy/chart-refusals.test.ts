/** What the chart refuses, by its schema or in words, with the path of the value. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { noHelm, template, values } from "./helm.ts";

describe("the chart", { skip: noHelm }, () => {
  const refusals: [string, string[], RegExp][] = [
    [
      "a webhook without a secret",
      ["common", "--set", "sidecar.webhooks.url=https://hooks.example.com"],
      /sidecar\.webhooks: a url without secret or existingSecret/,
    ],
    [
      "a moderator whose key is nowhere",
      ["common", "events", "--set", "sidecar.moderation.allow={openai=http://a,second=http://b}"],
      /sidecar\.moderation\.keys\.second: missing/,
    ],
    [
      "moderation that nobody hears of",
      ["common", "--set", "policy.events.text=true,policy.events.moderation.url=http://guard:8000"],
      /policy\.events\.moderation: nobody would hear/,
    ],
    [
      "a user in a webhook's URL",
      ["common", "--set", "sidecar.webhooks.url=https://user:password@hooks.example.com"],
      /sidecar\/webhooks\/url/,
    ],
    ["no policy", [], /policy\.tiers: missing/],
    [
      "two sidecars on one embedded store",
      ["common", "--set", "sidecar.replicas=2"],
      /sidecar\.replicas: 2: the embedded/,
    ],
    [
      "autoscaling of the embedded store",
      ["common", "--set", "sidecar.autoscaling.enabled=true"],
      /sidecar\.autoscaling\.enabled: true: the embedded/,
    ],
    [
      "a heading of values without a line below it",
      ["common", "--set", "sidecar.podDisruptionBudget=null"],
      /at '\/sidecar': missing property 'podDisruptionBudget'/,
    ],
    [
      "fewer replicas at most than at least",
      [
        ...["common", "store-redis", "--set", "sidecar.autoscaling.enabled=true"],
        ...["--set", "sidecar.autoscaling.maxReplicas=1"],
      ],
      /sidecar\.autoscaling\.maxReplicas: 1: expected at least minReplicas, which is 3/,
    ],
    [
      "a size that is no quantity of Kubernetes",
      ["common", "--set", "ledger.embedded.size=1GB"],
      /ledger\/embedded\/size': '1GB' does not match pattern/,
    ],
    [
      "Redis without an address",
      ["common", "--set", "ledger.store=redis"],
      /neither urls nor existingSecret/,
    ],
    [
      "credentials in a Redis URL",
      ["common", "--set", "ledger.store=redis", "--set", "ledger.redis.urls={redis://u:p@host:6379}"],
      /ledger\/redis\/urls\/0/,
    ],
    [
      "an unknown key of a tier",
      ["common", "--set", "policy.tiers.pro.request=5/min"],
      /policy\/tiers\/pro.*additional properties 'request' not allowed/s,
    ],
    [
      "an unknown value",
      ["common", "--set", "sidecar.replica=1"],
      /additional properties 'replica' not allowed/,
    ],
    [
      "a number for a variable of the sidecar's environment, which Kubernetes would not take",
      ["common", "--set", "sidecar.extraEnv[0].name=LIMIT,sidecar.extraEnv[0].value=60000"],
      /sidecar\/extraEnv\/0\/value.*want string/,
    ],
    [
      "held headers where they cannot be held",
      ["common", "envoy-gateway", "--set", "policy.hold_headers=true"],
      /policy\.hold_headers: true: an EnvoyExtensionPolicy cannot hold headers/,
    ],
    [
      "an Envoy without an upstream",
      ["common", "--set", "integrations.envoy.enabled=true"],
      /integrations\.envoy\.upstream\.host: empty/,
    ],
    [
      "a URL for the upstream's host, which no name server knows",
      ["common", "envoy", "--set", "integrations.envoy.upstream.host=https://api.openai.com"],
      /integrations\/envoy\/upstream\/host/,
    ],
    [
      "the port of Envoy's metrics for its callers",
      ["common", "envoy", "--set", "integrations.envoy.port=9902"],
      /integrations\.envoy\.port: 9902/,
    ],
    [
      "an annotation in the place of the one that rolls Envoy",
      ["common", "envoy", "--set", "integrations.envoy.podAnnotations.checksum/config=x"],
      /integrations\.envoy\.podAnnotations: checksum\/config/,
    ],
    [
      "a name that no Service can have",
      ["common", "--set", "fullnameOverride=We.ir"],
      /We\.ir: expected lower-case letters/,
    ],
    [
      "a name that YAML reads as no text",
      ["common", "--set-string", "fullnameOverride=true"],
      /the name of what is installed: true: YAML reads it as no text/,
    ],
    ["a name that no label can have", ["common", "--set", "nameOverride=a b"], /nameOverride.*pattern/s],
    ["a policy taken away", ["common", "--set", "policy=null"], /missing property 'policy'/],
    [
      "characters in a policy that YAML has no place for",
      ["common", "envoy", "--set-json", 'policy.tiers.pro.requests="60/min\\u007f"'],
      /policy: a control character/,
    ],
    [
      "two values of one Secret under one key",
      [
        "common",
        "events",
        "--set",
        "sidecar.webhooks.existingSecret=,sidecar.webhooks.secret=0123456789abcdef,sidecar.webhooks.existingSecretKey=k",
        "--set",
        "sidecar.events.existingSecret=,sidecar.events.pseudonymKey=0123456789abcdef,sidecar.events.existingSecretKey=k",
      ],
      /sidecar\.webhooks\.existingSecretKey: k: another value/,
    ],
    [
      "a label that the pods are found by",
      ["common", "--set", "sidecar.podLabels.app\\.kubernetes\\.io/name=x"],
      /sidecar\.podLabels: app\.kubernetes\.io\/name: the chart sets it/,
    ],
    [
      "an annotation in the place of the one that rolls the sidecar",
      ["common", "--set", "sidecar.podAnnotations.checksum/settings=x"],
      /sidecar\.podAnnotations: checksum\/settings/,
    ],
  ];
  for (const [what, args, expected] of refusals)
    test(`refuses ${what}`, () => {
      const split = args.findIndex((arg) => arg.startsWith("--"));
      const files = split < 0 ? args : args.slice(0, split);
      assert.throws(
        () => template(...values(...files), ...(split < 0 ? [] : args.slice(split))),
        (error: Error) => expected.test(error.message) || assert.fail(error.message),
      );
    });

  test("cuts a long name to one that a label can have", () => {
    const name = `${"n".repeat(49)}._-x`;
    const args = ["--set", `nameOverride=${name}`, "--set", "fullnameOverride=weir"];
    assert.match(template(...values("common"), ...args), /app\.kubernetes\.io\/name: "n{49}"/);
  });

  for (const [files, names, more] of [
    [
      ["envoy-gateway", "store-redis"],
      [
        "nameOverride",
        "ledger.redis.existingSecret",
        "ledger.redis.tls.caSecret",
        "admin.existingSecret",
        "sidecar.priorityClassName",
        "integrations.envoyGateway.gateway.name",
        "integrations.envoyGateway.gateway.namespace",
        "integrations.envoyGateway.proxyNamespace",
        "integrations.envoyGateway.pullSecret",
      ],
      'integrations.envoyGateway.routes=["123"]',
    ],
    [
      ["envoy-gateway-patch", "istio", "kong"],
      [
        "ledger.embedded.storageClass",
        "integrations.istio.namespace",
        "integrations.kong.namespace",
        "integrations.kong.ingressClass",
      ],
      'integrations.envoyGateway.patch.listeners=["123"]',
    ],
    [["store-embedded"], ["ledger.embedded.existingClaim"], "imagePullSecrets=[]"],
  ] as const)
    test(`hands names that look like numbers on as text: ${files.join(", ")}`, () => {
      const args = names.flatMap((name) => ["--set-string", `${name}=123`]);
      const rendered = template(...values("common", ...files), ...args, "--set-json", more);
      assert.match(rendered, /: "123"/);
      assert.doesNotMatch(rendered, /: 123\b/);
    });
});
