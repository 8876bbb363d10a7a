// The closed lists by which the finder of prompts decides, name by name: what each of them does to a body, and that a name
// beside it does not.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openFinder } from "./prompt-support.ts";

const find = await openFinder();
const CHAT = "/v1/chat/completions";
const user = (...content: unknown[]) => ({ messages: [{ role: "user", content }] });
const foundIn = (body: unknown, path = CHAT) => find(path, Buffer.from(JSON.stringify(body)));
const spansOf = (body: unknown, path = CHAT) => foundIn(body, path).spans ?? [];
const trustOf = (body: unknown, text: string, path = CHAT) =>
  spansOf(body, path).find(([, have]) => have === text)?.[0];

test("what stands in members for results and documents comes from outside", () => {
  const names =
    "functionResponse function_response codeExecutionResult code_execution_result toolResult searchResult document documents " +
    "results output outputs";
  for (const name of names.split(" ")) {
    assert.equal(trustOf(user({ [name]: { a: "some words" } }), "some words"), "untrusted", name);
    assert.equal(trustOf(user({ [`${name}x`]: { a: "some words" } }), "some words"), "user", `${name}x`);
  }
});

test("what stands in parts of these types comes from outside, and is understood", () => {
  const types =
    "tool_result function_call_output document file input_file file_search_call web_search_call mcp_call mcp_list_tools";
  for (const type of types.split(" ")) {
    const body = user({ type, a: "some words" });
    assert.equal(trustOf(body, "some words"), "untrusted", type);
    assert.equal(foundIn(body).unknownPart, "", type);
  }
});

test("parts of these types are understood, and others are told", () => {
  const types =
    "text user_input input_text output_text image_url input_image image input_audio refusal message thinking redacted_thinking tool_use " +
    "server_tool_use function item_reference model_output reasoning thought computer_call";
  const unknownOf = (type: string) => foundIn(user({ type })).unknownPart;
  for (const type of types.split(" ")) {
    assert.equal(unknownOf(type), "", type);
    assert.notEqual(unknownOf(`${type}s`), "", `${type}s`);
  }
});

test("an item without a role says by its type who speaks", () => {
  for (const type of ["function_call", "reasoning", "model_output", "thought"]) {
    const body = { input: [{ type, a: "some words" }] };
    assert.equal(trustOf(body, "some words", "/v1/responses"), "assistant", type);
  }
  assert.equal(
    trustOf({ input: [{ type: "user_input", a: "some words" }] }, "some words", "/v1/responses"),
    "user",
  );
});

test("identifiers and options are no texts, other members' values are", () => {
  const names =
    "id role type user model object detail status effort call_id item_id file_id required mimeType mime_type media_type truncation " +
    "tool_use_id tool_choice tool_call_id service_tier encoding_format reasoning_effort prompt_cache_key safety_identifier " +
    "previous_response_id";
  const textsOf = (name: string, value: string) =>
    spansOf(user({ a: { [name]: value } })).filter(([, text]) => text === value).length;
  for (const name of names.split(" ")) {
    // Templates of chats write any role before its text.
    const longest = "a".repeat(name === "role" ? 24 : 64);
    assert.equal(textsOf(name, "AZaz09_-.:/@+$"), 0, name);
    assert.equal(textsOf(name, longest), 0, name);
    assert.equal(textsOf(name, `${longest}a`), 1, name);
    assert.equal(textsOf(`${name}x`, "abc"), 1, `${name}x`);
    for (const sign of " ,;!\"'()*<=>?[]^`{|}~#%&\u007fé")
      assert.equal(textsOf(name, `a${sign}b`), 1, `${name} ${sign}`);
  }
});

test("the name of a member is a text where it is longer than names are, or written in other characters", () => {
  const isText = (name: string) => spansOf(user({ [name]: 1 })).some(([, text]) => text === name);
  assert.equal(isText("a".repeat(40)), false);
  assert.equal(isText("a".repeat(41)), true);
  assert.equal(isText("two words"), true);
});

test("what a tool is called with, or gives back, has no names and options that anybody checks", () => {
  for (const name of ["args", "arguments", "input", "input_examples", "response", "documents", "json"]) {
    const spans = (value: string) =>
      spansOf(user({ [name]: { status: value } })).filter(([, text]) => text === value).length;
    assert.equal(spans("a".repeat(24)), 0, name);
    assert.equal(spans("a".repeat(25)), 1, name);
  }
  assert.equal(
    spansOf(user({ inputs: { status: "a".repeat(25) } })).some(([, text]) => text === "a".repeat(25)),
    false,
  );
});

const mediaOf = (part: unknown) => foundIn(user(part)).media;

test("binary data is media in the members that hold it, and a text in others", () => {
  const holders = "image_url input_audio source inlineData inline_data fileData file_data file video_url";
  for (const holder of holders.split(" ")) {
    for (const value of ["url", "fileUri", "file_uri"]) {
      assert.equal(mediaOf({ [holder]: { [value]: "https://a.example/b" } }), 1, `${holder}.${value}`);
      assert.equal(mediaOf({ [`${holder}s`]: { [value]: "https://a.example/b" } }), 0, `${holder}s.${value}`);
    }
    assert.equal(mediaOf({ [holder]: { data: "QUJD", mimeType: "image/png" } }), 1, holder);
    assert.equal(mediaOf({ [holder]: { data: "QUJD" } }), holder === "input_audio" ? 1 : 0, holder);
  }
  for (const member of ["image_url", "file_url"])
    assert.equal(mediaOf({ [member]: "https://a.example/b" }), 1, member);
  for (const member of ["data", "uri"]) {
    assert.equal(mediaOf({ [member]: "QUJD", mime_type: "image/png" }), 1, member);
    assert.equal(mediaOf({ [member]: "QUJD" }), 0, member);
  }
});

test("a file without an address and without a type is a text", () => {
  for (const data of ["data:application/pdf;base64,JVBERi0=", "http://a.example/b", "https://a.example/b"])
    assert.equal(mediaOf({ file: { file_data: data } }), 1, data);
  for (const data of ["JVBERi0=", "ftp://a.example/b", "data:text/plain;base64,QUJD", "data:text/plain,abc"])
    assert.equal(mediaOf({ file: { file_data: data } }), 0, data);
});

test("data is media by the type beside it only where no model reads that type as text", () => {
  const media = (type: string) => mediaOf({ inlineData: { data: "QUJD", mimeType: type } });
  for (const type of ["image/png", "audio/wav", "video/mp4", "application/pdf"])
    assert.equal(media(type), 1, type);
  for (const type of ["image/svg+xml", "IMAGE/PNG", "text/plain", "application/json", "application/pdf2", ""])
    assert.equal(media(type), 0, type);
  assert.equal(mediaOf({ inlineData: { data: "QUJD", mimeType: "image/png", media_type: "text/plain" } }), 0);
});

test("what has a space, a control character or another script is a text wherever it stands", async () => {
  const scalar = await openFinder(true);
  const [before, behind] = ["a".repeat(3), "a".repeat(40)];
  for (const sign of [" ", "\n", "\u0001", "\u007f", "é", "中", '"', "\\"]) {
    for (const url of [before + sign + behind, behind + sign + before]) {
      const body = Buffer.from(JSON.stringify(user({ image_url: { url } })));
      for (const build of [find, scalar]) assert.equal(build(CHAT, body).media, 0, JSON.stringify(sign));
    }
  }
  const escaped = Buffer.from(`{"messages":[{"role":"user","content":[{"image_url":"https:\\/\\/a\\/b"}]}]}`);
  for (const build of [find, scalar]) assert.equal(build(CHAT, escaped).media, 1);
});

test("nothing is media in the schema of a tool", () => {
  for (const name of ["parameters", "input_schema", "inputSchema", "schema"]) {
    const body = { ...user("hi"), tools: [{ [name]: { default: { image_url: "QUJD" } } }] };
    assert.equal(foundIn(body).media, 0, name);
  }
  const other = { ...user("hi"), tools: [{ other: { default: { image_url: "QUJD" } } }] };
  assert.equal(foundIn(other).media, 1);
});
