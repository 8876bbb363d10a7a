/** Helm as the tests of the chart run it, and what is missing where it cannot be. scripts/tools.sh installs it. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { installed } from "../support/tools.ts";
import { at, root } from "./chart.ts";

const helm = at(".tools/bin/helm");
export const python = at(".venv/bin/python");
export const CHART = "deploy/helm/weir";
/** Fixed, so that the renders do not depend on the helm at hand. */
export const KUBERNETES = "1.34.0";

const validates = () =>
  spawnSync(python, ["-c", "import kubernetes_validate"], { stdio: "ignore" }).status === 0;
export const haveValidator = installed(validates, "kubernetes-validate");

export const noHelm = installed(() => existsSync(helm), "helm")
  ? false
  : "no helm in .tools/bin: scripts/tools.sh builds it where Go is there";
export const values = (...names: string[]) =>
  names.flatMap((name) => ["-f", `test/deploy/values/${name}.yaml`]);

export function run(args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(helm, args, { cwd: root, encoding: "utf8", maxBuffer: 1 << 26 });
}

/** A render, with more arguments; throws with what helm says. */
export function template(...args: string[]): string {
  const fixed = ["template", "weir", CHART, "--namespace", "llm", "--kube-version", KUBERNETES];
  const { status, stdout, stderr } = run([...fixed, ...args]);
  if (status !== 0) throw new Error(stderr);
  return stdout;
}
