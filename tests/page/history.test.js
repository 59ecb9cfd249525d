import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { addToHistory } from "../../convai/talk/page/history.js";

class FakeElement {
  children = [];

  append(...children) {
    this.children.push(...children);
  }

  prepend(child) {
    this.children.unshift(child);
    child.remove = () => this.children.splice(this.children.indexOf(child), 1);
  }

  get lastElementChild() {
    return this.children.at(-1);
  }

  addEventListener(_, onEvent) {
    this.click = onEvent;
  }
}

const elements = { history: new FakeElement(), "history-panel": new FakeElement() };
globalThis.document = { createElement: () => new FakeElement(), getElementById: (id) => elements[id] };

const makeExchange = (number) => ({
  question: "who",
  answer: "Ada",
  questionAddress: `blob:question-${number}`,
  answerAddress: `blob:answer-${number}`,
});

test("the latest exchange comes first, and its recordings can be replayed", () => {
  const replay = mock.fn();
  addToHistory(makeExchange(1), replay);
  addToHistory(makeExchange(2), replay);
  const [question, answer, tools] = elements.history.children[0].children;
  assert.deepEqual([question.textContent, answer.textContent], ["who", "Ada"]);
  const [playQuestion, saveQuestion, playAnswer, saveAnswer] = tools.children;
  assert.deepEqual([saveQuestion.download, saveAnswer.href], ["question-2.wav", "blob:answer-2"]);
  playQuestion.click();
  playAnswer.click();
  assert.deepEqual(
    replay.mock.calls.map((call) => call.arguments[0]),
    ["blob:question-2", "blob:answer-2"],
  );
});

test("beyond 100 exchanges, the oldest goes and its recordings are freed", () => {
  const revoke = mock.method(URL, "revokeObjectURL", () => {});
  for (let number = 3; number <= 101; number++) addToHistory(makeExchange(number), () => {});
  assert.equal(elements.history.children.length, 100);
  assert.deepEqual(
    revoke.mock.calls.map((call) => call.arguments[0]),
    ["blob:question-1", "blob:answer-1"],
  );
});
