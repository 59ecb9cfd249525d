import assert from "node:assert/strict";
import { test } from "node:test";

import { excerpt, splitAtSpan } from "../../convai/talk/page/describe.js";
import { describeFailure, WORDS } from "../../convai/talk/page/words.js";

test("a span counts characters, not UTF-16 units", () => {
  assert.deepEqual(splitAtSpan("🌍🏔 Everest is high.", [3, 10]), ["🌍🏔 ", "Everest", " is high."]);
});

test("a span may cover all of the text", () => {
  assert.deepEqual(splitAtSpan("Ada", [0, 3]), ["", "Ada", ""]);
});

test("an excerpt has whole words around the answer, and no more than that of a long text", () => {
  const text = `${"before ".repeat(20)}Ada${" after".repeat(20)}`;
  const [before, answer, after] = excerpt(text, [140, 143]);
  assert.deepEqual([before, answer, after], [`… ${"before ".repeat(8)}`, "Ada", `${" after".repeat(9)} …`]);
  assert.deepEqual(excerpt("He is Ada.", [6, 9]), ["He is ", "Ada", "."]);
});

test("failures are told in the page's own words, whatever the server's are", () => {
  assert.equal(describeFailure({ kind: "TimedOut", message: "no response from 127.0.0.1:8001" }), WORDS.noAnswer);
  assert.equal(describeFailure({ kind: "ServerError", message: "waveglow: gRPC" }), WORDS.serverFailed);
  assert.equal(describeFailure({ message: WORDS.lost }), WORDS.lost);
});

test("confidence has words beside its figure", () => {
  assert.equal(WORDS.confidence(0.93), "Very sure (confidence 0.93)");
  assert.equal(WORDS.confidence(0.5), "Not sure (confidence 0.50)");
});

test("sizes are shown in the unit of the limit", () => {
  assert.equal(WORDS.counter(1536, 32 * 1024), "1.5 of 32 KiB");
});
