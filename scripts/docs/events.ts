// The page of what the sidecar tells: types of events and their members, compared with the code that writes them.

import { snake } from "../../sidecar/events/lines.ts";
import {
  Api,
  Ending,
  RedactionAction,
  RedactionType,
  Speaker,
  UsageSource,
} from "../../sidecar/gen/weir/v1/events_pb.ts";
import { names, problems, read, same, table } from "./page.ts";

interface Told {
  type: string;
  when: string;
  fields: Record<string, string>;
}

const enumerations: Record<string, object> = {
  ...{ Api, Ending, RedactionAction, RedactionType, Speaker, UsageSource },
};

/** The members that `pattern`, whose group is a stretch of source, has in it; each line there is one. */
function members(file: string, pattern: RegExp, member: RegExp): string[] {
  const block = pattern.exec(read(file))?.[1];
  if (block === undefined) problems.push(`${file}: the members of an event are not where they were`);
  return names(block ?? "", member).map(snake);
}

/** Members by type, as the code has them. */
function written(): Record<string, string[]> {
  const [event, notices] = ["sidecar/events/event.ts", "sidecar/events/notices.ts"];
  const [open, detection] = ["sidecar/events/open.ts", "sidecar/events/detection.ts"];
  const declared = /^ {2}readonly (\w+):/gm;
  const request = members(event, /interface WeirEvent \{(.*?)^\}/ms, declared);
  const notice = members(notices, /interface ToldNotice \{(.*?)^\}/ms, declared);
  return {
    request: [...request.filter((name) => name !== "end_ms" && name !== "moderator"), "time"],
    "budget.notice": [...notice.filter((name) => name !== "time_ms"), "time"],
    "content.flagged": members(open, /type: "flagged",(.*?)\};/s, /^ {4}(\w+)[,:]/gm),
    anomaly: members(detection, /type: "anomaly",\n( {4}severity:.*?)\};/s, /^ {4}(\w+):/gm),
  };
}

/** `{Api}` is the list of that enumeration's values. */
const withValues = (text: string) =>
  text.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const values = enumerations[name];
    if (values === undefined) problems.push(`catalog/events.json: there is no enumeration ${name}`);
    return Object.entries(values ?? {})
      .filter(([, number]) => typeof number === "number" && number > 0)
      .map(([value]) => `\`${value.toLowerCase()}\``)
      .join(", ");
  });

export function events(): string {
  const list = JSON.parse(read("catalog/events.json")) as Told[];
  const known = written();
  const types = list.map(({ type }) => type);
  same("catalog/events.json", Object.keys(known), types);
  const sections = list.map(({ type, when, fields }) => {
    same(`catalog/events.json: ${type}`, known[type] ?? [], Object.keys(fields));
    const rows = Object.entries(fields).map(([name, text]) => [`\`${name}\``, withValues(text)]);
    return `## ${type}\n\n${when}\n\n${table(["member", "meaning"], rows)}\n`;
  });
  return `# Events

What the sidecar tells, where [its settings](../operations.md#events-traces-webhooks) say: as JSON lines, with \`type\` and \`time\`; as log records of OTLP named
\`weir.TYPE\`, with attributes \`weir.MEMBER\` (of requests those of the GenAI conventions, where there are such); and, all but requests, as
webhooks, with \`type\`, \`time\` and the members in \`data\`. What is empty, 0 or false is left out of a request's line. Pseudonyms are keyed hashes.

${sections.join("\n")}`;
}
