/**
 * A real Prometheus for tests: Debian's, installed by scripts/tools.sh on demand; on a loopback port, with its data in a
 * directory of its own, ended by its own handle.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { freePort, start, until } from "../../demo/processes.ts";
import { installed } from "../support/tools.ts";

const there = () =>
  ["prometheus", "promtool"].every(
    (name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0,
  );

/** For the option `skip` of a test: false, or why. */
export const noPrometheus = installed(there, "prometheus")
  ? false
  : "no prometheus and promtool: scripts/tools.sh installs them where it may";

export interface Series {
  labels: Record<string, string>;
  value: number;
}

export interface Alert {
  name: string;
  state: "pending" | "firing";
  labels: Record<string, string>;
}

export interface Prometheus {
  query(expression: string): Promise<Series[]>;
  /** Pending and firing ones. */
  alerts(): Promise<Alert[]>;
  stop(): Promise<void>;
}

export interface PrometheusOptions {
  /** By job: `host:port`, and the path of its metrics. */
  targets: Record<string, { address: string; path: string }>;
  /** A rules file's text. */
  rules: string;
  /** Between scrapes, and between evaluations of the rules. */
  intervalSeconds: number;
}

export async function startPrometheus(options: PrometheusOptions): Promise<Prometheus> {
  const directory = mkdtempSync(join(tmpdir(), "weir-prometheus-"));
  const interval = `${options.intervalSeconds}s`;
  const config = {
    global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
    rule_files: ["rules.yaml"],
    scrape_configs: Object.entries(options.targets).map(([job, { address, path }]) => ({
      job_name: job,
      metrics_path: path,
      static_configs: [{ targets: [address] }],
    })),
  };
  writeFileSync(join(directory, "rules.yaml"), options.rules);
  writeFileSync(join(directory, "prometheus.yaml"), stringify(config));
  const port = await freePort();
  const child = start("prometheus", [
    `--config.file=${join(directory, "prometheus.yaml")}`,
    `--storage.tsdb.path=${join(directory, "data")}`,
    `--web.listen-address=127.0.0.1:${port}`,
    "--log.level=warn",
  ]);
  const withUs = () => child.process.kill("SIGKILL");
  process.once("exit", withUs);
  const stop = async () => {
    process.off("exit", withUs);
    await child.stop();
    rmSync(directory, { recursive: true, force: true });
  };
  const url = `http://127.0.0.1:${port}`;
  const get = async (path: string) => {
    const answer = (await (await fetch(url + path)).json()) as {
      status: string;
      error?: string;
      data: never;
    };
    if (answer.status !== "success") throw new Error(`${decodeURIComponent(path)}: ${answer.error}`);
    return answer.data;
  };
  try {
    await until("prometheus", async () => (await fetch(`${url}/-/ready`)).ok);
  } catch (error) {
    await stop();
    throw new Error(`${(error as Error).message}\n${child.output().slice(-2000)}`);
  }
  return {
    query: async (expression) => {
      const path = `/api/v1/query?query=${encodeURIComponent(expression)}`;
      const { result } = (await get(path)) as {
        result: { metric: Record<string, string>; value: [number, string] }[];
      };
      return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
    },
    alerts: async () => {
      const { alerts } = (await get("/api/v1/alerts")) as {
        alerts: { labels: Record<string, string>; state: Alert["state"] }[];
      };
      return alerts.map(({ labels, state }) => ({ name: labels.alertname ?? "", state, labels }));
    },
    stop,
  };
}
