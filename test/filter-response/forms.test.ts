// Forms of answers that no redaction can follow, which a tier that redacts answers does not let be asked for: tokens
// one by one, and Gemini's stream as an array. Any other tier does.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Call, chat, keyEntry, LocalEdge } from "../support/filter.ts";
import { refused } from "../support/filter-scenario.ts";

const policy = {
  tiers: {
    plain: {},
    asks: { prompt: { redact: ["email"] } },
    redacts: { prompt: { unknown_shape: "allow" }, response: { redact: ["email"] } },
    blocks: { response: { canaries: ["You are Aria, the internal assistant"] } },
  },
  keys: ["plain", "asks", "redacts", "blocks"].map((tier) => keyEntry(tier, tier)),
};
const contents = [{ role: "user", parts: [{ text: "hello" }] }];
const completions = (more: object): Call => ({
  path: "/v1/completions",
  body: { model: "davinci-002", prompt: "hello", ...more },
});
const responses = (more: object): Call => ({
  path: "/v1/responses",
  body: { model: "gpt-4.1", input: "hello", ...more },
});
const gemini = (more: object, method = "generateContent", query = ""): Call => ({
  path: `/v1beta/models/gemini-2.5-pro:${method}${query}`,
  body: { contents, ...more },
});
const chats = (more: object): Call => ({ body: chat("hello", more) });
const INCLUDE = "message.output_text.logprobs";

/** What asks for tokens, and the member that says so. */
const asking: [Call, string][] = [
  [chats({ logprobs: true }), "/logprobs"],
  [chats({ logprobs: true, top_logprobs: 5, stream: true }), "/logprobs"],
  [chats({ top_logprobs: 5 }), "/top_logprobs"],
  [chats({ logprobs: "true" }), "/logprobs"],
  [chats({ LogProbs: true }), "/LogProbs"],
  [chats({ n_probs: 1 }), "/n_probs"],
  [chats({ return_token_ids: true }), "/return_token_ids"],
  [{ body: JSON.stringify(chat("hello", { logprobs: true })).replace("logp", "lo\\u0067p") }, "/logprobs"],
  [completions({ logprobs: 5 }), "/logprobs"],
  [completions({ logprobs: 0 }), "/logprobs"],
  [responses({ include: ["reasoning.encrypted_content", INCLUDE] }), "/include/1"],
  [responses({ top_logprobs: 2 }), "/top_logprobs"],
  [gemini({ generationConfig: { responseLogprobs: true } }), "/generationConfig/responseLogprobs"],
  [gemini({ generation_config: { response_logprobs: true } }), "/generation_config/response_logprobs"],
  [gemini({ generationConfig: { logprobs: 3 } }), "/generationConfig/logprobs"],
  [
    gemini({ toolConfig: { functionCallingConfig: { mode: "ANY", streamFunctionCallArguments: true } } }),
    "/toolConfig/functionCallingConfig/streamFunctionCallArguments",
  ],
  [
    gemini({ tool_config: { function_calling_config: { stream_function_call_arguments: true } } }),
    "/tool_config/function_calling_config/stream_function_call_arguments",
  ],
];
const harmless: Call[] = [
  chats({ logprobs: false, top_logprobs: 0 }),
  chats({ logprobs: null, top_logprobs: null, include: null }),
  completions({ logprobs: null }),
  responses({ include: ["reasoning.encrypted_content"], top_logprobs: 0 }),
  gemini({ generationConfig: { responseLogprobs: false, logprobs: 0 } }),
  gemini({ toolConfig: { functionCallingConfig: { mode: "ANY", streamFunctionCallArguments: false } } }),
  gemini({ toolConfig: { functionCallingConfig: null } }),
  gemini({ toolConfig: [] }),
  chats({ metadata: { logprobs: "true" } }),
];

/** Queries that do not say, or not plainly, that events are asked for. */
const ARRAYS = ["", "?", "?alt=json", "?alt=sse&alt=json", "?alt=sse&$alt=json", "?alt=sse&%61lt=json"];
ARRAYS.push("?alt=ssex", "?xalt=sse", "?key=alt=sse", "?alt=sse&Alt=json");

for (const profile of ["envoy", "ngx_wasm"] as const) {
  describe(`forms of answers (${profile})`, async () => {
    const edge = await LocalEdge.open({ profile, policy, kind: "trapping" });

    it("refuses what asks for tokens or for arguments in parts, and names the member, where answers are redacted or blocked", async () => {
      for (const [call, param] of asking) {
        for (const key of ["redacts", "blocks"]) {
          const answer = await edge.send({ ...call, key });
          refused(edge, answer, "answer_unredactable");
          assert.equal(answer.json.error.param, param);
          assert.match(answer.json.error.message, /tokens one by one.*left out/);
        }
        for (const key of ["plain", "asks"]) assert.equal((await edge.send({ ...call, key })).status, 200);
      }
    });

    it("lets pass what asks for none", async () => {
      for (const call of harmless) assert.equal((await edge.send({ ...call, key: "redacts" })).status, 200);
    });

    it("refuses Gemini's stream as an array, and says how to ask", async () => {
      for (const query of ARRAYS) {
        const call = gemini({}, "streamGenerateContent", query);
        const answer = await edge.send({ ...call, key: "redacts" });
        refused(edge, answer, "answer_unredactable");
        assert.match(answer.json.error.message, /\?alt=sse/);
        assert.equal((await edge.send({ ...call, key: "plain" })).status, 200);
      }
      // Where a path is let pass that only some servers would take for that stream's.
      const odd = { path: "/v1beta/models/gemini-2.5-pro%3AstreamGenerateContent", body: { contents } };
      refused(edge, await edge.send({ ...odd, key: "redacts" }), "answer_unredactable");
    });

    it("lets Gemini's stream of events and its whole answer pass", async () => {
      const sent = (call: Call) => edge.send({ ...call, key: "redacts" });
      for (const query of ["?alt=sse", "?key=k&alt=sse", "?alt=sse&key=k&"]) {
        assert.equal((await sent(gemini({}, "streamGenerateContent", query))).status, 200, query);
      }
      assert.equal((await sent(gemini({}))).status, 200);
    });
  });
}
