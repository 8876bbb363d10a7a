/** The roll-out files beside the chart: the filter as an image layout, Dockerfile and Compose, Terraform. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { parse, parseAllDocuments } from "yaml";
import { envoyConfig } from "../../deploy/envoy-config.ts";
import { tarOfOne, writeImageLayout } from "../../deploy/image-layout.ts";
import { at, type Loose } from "./chart.ts";

const read = (path: string) => readFileSync(at(path), "utf8");
const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");

test("the image layout holds one layer with plugin.wasm, every digest is right, and it comes out the same twice", () => {
  const wasm = Buffer.concat([Buffer.from("\0asm\x01\0\0\0", "latin1"), Buffer.alloc(12_345, 7)]);
  const dir = mkdtempSync(join(tmpdir(), "weir-image-"));
  try {
    const file = join(dir, "weir.wasm");
    writeFileSync(file, wasm);
    const first = writeImageLayout(file, join(dir, "a"), "1.2.3");
    const second = writeImageLayout(file, join(dir, "b"), "1.2.3");
    assert.deepEqual(first, second);
    assert.equal(first.wasmSha256, sha256(wasm));
    const json = (path: string): Loose => JSON.parse(readFileSync(join(dir, "a", path), "utf8"));
    assert.deepEqual(json("oci-layout"), { imageLayoutVersion: "1.0.0" });
    const [entry] = json("index.json").manifests;
    assert.equal(entry.digest, first.manifestDigest);
    assert.equal(entry.annotations["org.opencontainers.image.ref.name"], "1.2.3");
    for (const name of readdirSync(join(dir, "a/blobs/sha256")))
      assert.equal(sha256(readFileSync(join(dir, "a/blobs/sha256", name))), name);
    const blob = (digest: string) => join("blobs/sha256", digest.replace("sha256:", ""));
    const manifest = json(blob(entry.digest));
    assert.equal(manifest.layers.length, 1);
    const tar = gunzipSync(readFileSync(join(dir, "a", blob(manifest.layers[0].digest))));
    assert.equal(json(blob(manifest.config.digest)).rootfs.diff_ids[0], `sha256:${sha256(tar)}`);
    const listed = spawnSync("tar", ["-xOf", "-", "plugin.wasm"], { input: tar, maxBuffer: 1 << 20 });
    assert.equal(listed.status, 0, listed.stderr.toString());
    assert.ok(listed.stdout.equals(wasm), "tar reads back what was put in");
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test("a tar is a whole number of blocks whatever the file's length", () => {
  for (const bytes of [0, 1, 511, 512, 513]) assert.equal(tarOfOne("f", Buffer.alloc(bytes)).length % 512, 0);
});

test("Compose builds stages that the Dockerfile has, and what it runs is hardened", () => {
  const stages = [...read("Dockerfile").matchAll(/^FROM \S+ AS (\S+)$/gm)].map((match) => match[1]);
  const { services, volumes } = parse(read("compose.yaml"), { merge: true });
  for (const [name, service] of Object.entries<Loose>(services)) {
    if (service.build) assert.ok(stages.includes(service.build.target), `${name}: ${service.build.target}`);
    for (const volume of service.volumes ?? []) {
      const [source] = volume.split(":");
      if (source.startsWith("./")) assert.ok(read(source), source);
      else assert.ok(source in volumes, source);
    }
    for (const port of service.ports ?? []) assert.match(port, /^127\.0\.0\.1:/, `${name} on loopback only`);
    if (name === "config") continue;
    assert.equal(service.read_only, true, name);
    assert.deepEqual(service.cap_drop, ["ALL"], name);
  }
  const last =
    read("Dockerfile")
      .split(/^FROM /m)
      .at(-1) ?? "";
  assert.match(last, /^USER 1000:1000$/m);
});

test("Docker reads compose.yaml", (context) => {
  const compose = ["compose", "--project-directory", at(""), "-f", at("compose.yaml")];
  if (spawnSync("docker", ["compose", "version"], { stdio: "ignore" }).status !== 0)
    return context.skip("no docker compose here");
  const { status, stderr } = spawnSync("docker", [...compose, "config", "--quiet"], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
});

test("what is no address with a port is refused with the option's name, and not taken for a host", () => {
  const options = { policy: {}, wasm: "w", sidecar: "s:1", listen: "127.0.0.1:1", adminPort: 2 };
  for (const upstream of ["host", ":1", "https://api.example.com:443", 'a"b:1', "a b:1", "h:0x50", "::1:80"])
    assert.throws(
      () => envoyConfig({ ...options, upstream }),
      (error: Error) => error.message === `--upstream: ${upstream}: expected HOST:PORT`,
    );
});

test("IPv6 addresses and any path of the filter come out as Envoy reads them", () => {
  const wasm = '/opt/we"ir\\n/weir.wasm';
  const options = { policy: {}, wasm, upstream: "[fd00::1]:9000", sidecar: "[::1]:8081", adminPort: 2 };
  const { listeners, clusters } = parse(envoyConfig({ ...options, listen: "[::]:8080" })).static_resources;
  assert.deepEqual(listeners[0].address.socket_address, { address: "::", port_value: 8080 });
  const hosts = clusters.map(
    ({ load_assignment }: Loose) =>
      load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address,
  );
  assert.deepEqual(hosts, ["fd00::1", "::1"]);
  const [filter] = listeners[0].filter_chains[0].filters[0].typed_config.http_filters;
  assert.equal(filter.typed_config.config.vm_config.code.local.filename, wasm);
});

test("a policy that does not hold headers gets the configuration for it", () => {
  const options = { wasm: "w", upstream: "h:1", sidecar: "s:1", listen: "0.0.0.0:1", adminPort: 2 };
  const stop = "allow_on_headers_stop_iteration: true";
  assert.ok(envoyConfig({ ...options, policy: {} }).includes(stop));
  const text = envoyConfig({ ...options, policy: { hold_headers: false } });
  assert.ok(!text.includes(stop));
  assert.ok(text.includes('address: "0.0.0.0", port_value: 1 '));
});

test("the commands of deploy say in one line what is wrong with what they were given", () => {
  const dir = mkdtempSync(join(tmpdir(), "weir-deploy-"));
  try {
    const policy = join(dir, "policy.yaml");
    writeFileSync(policy, "tiers:\n\tpro: { requests: 60/min }\n");
    const [unknown, elsewhere] = [join(dir, "unknown.yaml"), join(dir, "elsewhere.yaml")];
    writeFileSync(unknown, "tiers: { pro: { request: 60/min } }\nkeys: 5\n");
    writeFileSync(elsewhere, "tiers: { pro: { tokens: 1M/day } }\nledger: { cluster: other }\n");
    const rest = ["--wasm", "w", "--upstream", "h:1", "--sidecar", "s:1"];
    for (const [name, args, message] of [
      ["envoy-config", ["--policy", policy, ...rest], /policy\.yaml:2:1: not YAML: Tabs are not allowed/],
      ["envoy-config", ["--policy", join(dir, "none"), ...rest], /none: cannot be read: ENOENT/],
      ["envoy-config", ["--polcy", policy], /Unknown option '--polcy'/],
      ["envoy-config", ["--policy", policy, ...rest, "--wasm=v"], /--wasm: given twice: expected once/],
      ["envoy-config", ["--policy", policy, ...rest, "--listen="], /--listen: nothing: expected a value/],
      [
        "envoy-config",
        ["--policy", at("demo/policy.yaml"), ...rest, "--listen", "8080"],
        /--listen: 8080: expected HOST:PORT/,
      ],
      [
        "envoy-config",
        ["--policy", at("demo/policy.yaml"), ...rest, "--admin-port", "x"],
        /--admin-port: x: expected an integer/,
      ],
      [
        "envoy-config",
        ["--policy", unknown, ...rest],
        /unknown\.yaml:1:17: \/tiers\/pro\/request: .*expected .*; .*unknown\.yaml:2:1: \/keys: /,
      ],
      ["envoy-config", ["--policy", elsewhere, ...rest], /\/ledger\/cluster: "other": expected weir_sidecar/],
      ["image-layout", ["--tags", "1"], /Unknown option '--tags'/],
      [
        "image-layout",
        ["--wasm", join(dir, "none"), "--out", dir],
        /no such file or directory, open '.*none'/,
      ],
      ["image-layout", ["--wasm", policy, "--out", dir], /policy\.yaml: not a WebAssembly module/],
    ] as const) {
      const command = ["--import", "tsx", at(`deploy/${name}.ts`), ...args];
      const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: "utf8" });
      assert.deepEqual([status, stdout], [2, ""], stderr);
      assert.match(stderr, new RegExp(`^${name}: .*${message.source}.*\\n$`));
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("a configuration that cannot be written whole is told in one line, and fails", () => {
  const full = openSync("/dev/full", "w");
  try {
    const args = ["--policy", at("demo/policy.yaml"), "--wasm", "w", "--upstream", "h:1", "--sidecar", "s:1"];
    const command = ["--import", "tsx", at("deploy/envoy-config.ts"), ...args];
    const { status, stderr } = spawnSync(process.execPath, command, {
      encoding: "utf8",
      stdio: ["ignore", full, "pipe"],
    });
    assert.deepEqual([status, stderr], [1, "weir: standard output: ENOSPC: no space left on device\n"]);
  } finally {
    closeSync(full);
  }
});

test("the configuration's buffer takes the largest body that a tier lets in", () => {
  const options = { wasm: "w", upstream: "h:1", sidecar: "s:1", listen: "0.0.0.0:1", adminPort: 2 };
  const buffer = (max_bytes: string) => {
    const text = envoyConfig({ ...options, policy: { tiers: { pro: { prompt: { max_bytes } }, free: {} } } });
    return Number(/per_connection_buffer_limit_bytes: (\d+)/.exec(text)?.[1]);
  };
  assert.deepEqual([buffer("256Ki"), buffer("10Mi")], [4 << 20, 11 << 20]);
});

test("what installs the chart names images of the reader's, which the chart's own values cannot", () => {
  const own = parse(read("deploy/helm/weir/values.yaml"));
  const argo = parse(read("deploy/gitops/argocd.yaml")).spec.source.helm.valuesObject;
  const flux = parseAllDocuments(read("deploy/gitops/flux.yaml")).map((document) => document.toJS())[1].spec
    .values;
  for (const values of [argo, flux]) {
    assert.match(values.image.repository, /example\.com/);
    assert.match(values.filter.image.repository, /example\.com/);
  }
  assert.deepEqual(flux, argo);
  const hcl = read("deploy/README.md").match(/^module "weir" \{[\s\S]*?^\}/m)?.[0] ?? "";
  for (const { repository } of [argo.image, argo.filter.image]) assert.ok(hcl.includes(`"${repository}"`));
  assert.ok(
    read("deploy/terraform/outputs.tf").includes(`try(var.values.sidecar.port, ${own.sidecar.port})`),
  );
});

test("the Terraform files are formatted", (context) => {
  // A command-line configuration of the machine's is not needed to format.
  const env = { ...process.env, TF_CLI_CONFIG_FILE: "/dev/null" };
  if (spawnSync("terraform", ["version"], { stdio: "ignore", env }).status !== 0)
    return context.skip("no terraform here");
  const args = ["fmt", "-check", "-recursive", at("deploy/terraform")];
  const { status, stdout, stderr } = spawnSync("terraform", args, { encoding: "utf8", env });
  assert.equal(status, 0, stdout + stderr);
});
