import assert from "node:assert/strict";
import { test } from "node:test";

import { splitAtSpan } from "../../convai/talk/page/text.js";
import { describeFailure, WORDS } from "../../convai/talk/page/words.js";

test("a span counts characters, not UTF-16 units", () => {
  assert.deepEqual(splitAtSpan("🌍🏔 Everest is high.", [3, 10]), ["🌍🏔 ", "Everest", " is high."]);
});

test("a span may cover all of the text", () => {
  assert.deepEqual(splitAtSpan("Ada", [0, 3]), ["", "Ada", ""]);
});

test("known failures have the page's own words, others the server's", () => {
  assert.equal(describeFailure({ kind: "TimedOut", message: "no response from 127.0.0.1:8001" }), WORDS.noAnswer);
  assert.equal(
    describeFailure({ kind: "InvalidInput", message: "question_audio is silent" }),
    "question_audio is silent",
  );
  assert.equal(describeFailure({ message: WORDS.lost }), WORDS.lost);
});

test("sizes are shown in the unit of the limit", () => {
  assert.equal(WORDS.counter(1536, 32 * 1024), "1.5 of 32 KiB");
});
