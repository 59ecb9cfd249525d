import assert from "node:assert/strict";
import { test } from "node:test";

import { TypedQuestion } from "../../convai/talk/page/typed_question.js";
import { describeFailure, WORDS } from "../../convai/talk/page/words.js";

test("a typed question without a server fails in the page's own words", async () => {
  globalThis.fetch = () => Promise.reject(new TypeError("Failed to fetch"));
  const events = [];
  await new Promise((resolve) => {
    new TypedQuestion({ question: "Who?", text: "A text.", key: "" }, (event) => {
      events.push(event);
      if (event.type === "over") resolve();
    });
  });
  assert.equal(describeFailure(events[0]), WORDS.noPage);
});
