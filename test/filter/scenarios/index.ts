// Every scenario, in the order of a request's way.
import type { Scenario } from "../../support/filter-scenario.ts";
import { bodies } from "./body.ts";
import { budgets } from "./budgets.ts";
import { bypassScenarios } from "./bypasses.ts";
import { charges } from "./charges.ts";
import { downgrades } from "./downgrade.ts";
import { identity } from "./identity.ts";
import { limits } from "./limits.ts";
import { models } from "./models.ts";
import { outages } from "./outages.ts";
import { prices } from "./prices.ts";
import { routes } from "./routes.ts";
import { ownRules } from "./rules.ts";

export const scenarios: readonly Scenario[] = [
  ...identity,
  ...limits,
  ...bodies,
  ...models,
  ...bypassScenarios,
  ...routes,
  ...ownRules,
  ...budgets,
  ...prices,
  ...charges,
  ...outages,
  ...downgrades,
];
