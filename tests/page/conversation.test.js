import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { Conversation } from "../../convai/talk/page/conversation.js";
import { toJson, toText } from "../../convai/talk/page/describe.js";
import { WORDS } from "../../convai/talk/page/words.js";

const AUDIO = Int16Array.of(1, -1);
const ASKED = { type: "speech_ended", audio: AUDIO, sample_rate: 16_000 };
const ANSWERED = {
  type: "answered",
  question: "who",
  answer: "Ada",
  answer_score: 0.93,
  answer_span: [6, 9],
  sample_rate: 22_050,
  audio: AUDIO,
  mel: Uint8Array.of(7),
  is_last: true,
};
const BROKEN = { type: "failed", message: "It broke." };

let conversation;

beforeEach(() => {
  conversation = new Conversation(() => {});
  conversation.begin("He is Ada.");
});

const take = (...events) => events.map((event) => conversation.take(event)).at(-1);

test("a question is listed with its words so far until its answer is there", () => {
  take({ type: "speech_started" }, { type: "caption", text: "wh" }, ASKED);
  const [entry] = conversation.entries;
  assert.deepEqual([entry.text, entry.question, entry.isAnswered], ["He is Ada.", "wh", false]);
  assert.equal(take(ANSWERED), entry);
  assert.deepEqual([entry.question, entry.answer, entry.isOver], ["who", "Ada", true]);
});

test("answers come in the order of their questions, newest question first", () => {
  take(ASKED, ASKED, ANSWERED, { ...ANSWERED, answer: "Eve" });
  assert.deepEqual(
    conversation.entries.map(({ answer }) => answer),
    ["Eve", "Ada"],
  );
});

test("a failure stands in the question's own place, not the answer before it", () => {
  take(ASKED, ANSWERED);
  conversation.begin("Another text.");
  conversation.askTyped("why");
  take(BROKEN, { type: "over" });
  const [newest, before] = conversation.entries;
  assert.deepEqual([newest.question, newest.failure, newest.answer], ["why", "It broke.", null]);
  assert.deepEqual([before.failure, before.answer], [null, "Ada"]);
});

test("an answer that breaks off, or is spoken over, keeps what has come of it", () => {
  const first = { ...ANSWERED, is_last: false };
  take(ASKED, first, BROKEN);
  assert.deepEqual([conversation.entries[0].failure, conversation.entries[0].isOver], ["It broke.", true]);
  take(ASKED, first, { type: "chunk", audio: AUDIO, is_last: false }, { type: "speech_started" });
  const [entry] = conversation.entries;
  assert.deepEqual([entry.answerChunks.length, entry.failure, entry.isOver], [2, null, true]);
});

test("what is stopped before its answer says so", () => {
  take(ASKED);
  conversation.stop();
  assert.equal(conversation.entries[0].failure, WORDS.stopped);
});

test("beyond 100 questions, the oldest goes and its recordings are freed", () => {
  const freed = mock.method(URL, "revokeObjectURL", () => {});
  for (let count = 0; count <= 100; count++) take(ASKED, ANSWERED);
  assert.equal(conversation.entries.length, 100);
  assert.equal(freed.mock.callCount(), 2);
  freed.mock.restore();
});

test("a conversation is saved in the order in which it went, each text once", () => {
  take(ASKED, ANSWERED);
  conversation.askTyped("why");
  take(BROKEN);
  const [first, second] = JSON.parse(toJson(conversation.entries));
  assert.deepEqual([first.text, first.question, first.answer, first.answer_span], ["He is Ada.", "who", "Ada", [6, 9]]);
  assert.deepEqual([second.question, second.answer, second.failure], ["why", null, "It broke."]);
  const text = toText(conversation.entries);
  assert.equal(text.split("He is Ada.").length, 2);
  assert.ok(text.indexOf("“who”\nAda\nVery sure") < text.indexOf("“why”\nIt broke."));
});
