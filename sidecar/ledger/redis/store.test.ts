/** The shared suite on a real Redis and on a real Redis Cluster of three nodes. Needs `redis-server`. */
import { ledgerSuite } from "../suite/all.ts";
import type { Ledger } from "../types.ts";
import { openRedis } from "./store.ts";
import { hasRedis, startRedis, startRedisCluster, type TestRedis } from "./testing.ts";

const skip = hasRedis() ? false : "redis-server is not installed";

for (const [name, start] of [
  ["Redis", startRedis],
  ["Redis Cluster", startRedisCluster],
] as const)
  ledgerSuite(
    name,
    async () => {
      const redis: TestRedis = await start();
      const { urls, cluster } = redis;
      let current: Ledger = await openRedis({ urls, cluster });
      return {
        ledger: current,
        reopen: async () => {
          await redis.restart("SIGKILL");
          current = await openRedis({ urls, cluster });
          return current;
        },
        stop: async () => {
          await current.close();
          await redis.stop();
        },
      };
    },
    skip,
  );
