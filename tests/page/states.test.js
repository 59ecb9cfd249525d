import assert from "node:assert/strict";
import { test } from "node:test";

import { reduce, START, TRANSITIONS } from "../../convai/talk/page/states.js";

/** The names of the states that these events lead through, and the effects of the last. */
function walk(...types) {
  let change = { state: START, effects: [] };
  const names = [];
  for (const type of types) {
    change = reduce(change.state, typeof type === "string" ? { type, message: "why" } : type);
    names.push(change.state.name);
  }
  return { names, ...change };
}

const LISTEN = ["press", "opened"];
const ASK = [...LISTEN, "speech_started", "release", "speech_ended"];
const HANDS_FREE = ["handsFreeOn", "opened"];

test("a question goes through every state and back to rest", () => {
  const { names, state } = walk(...ASK, "answered", "over", "played");
  assert.deepEqual(names, [
    "opening",
    "listening",
    "recognising",
    "looking",
    "looking",
    "speaking",
    "speaking",
    "idle",
  ]);
  assert.deepEqual(state, START);
});

test("a short press begins and the next one asks; a hold asks when it ends", () => {
  assert.deepEqual(walk(...LISTEN, "press").effects, ["finish"]);
  assert.deepEqual(walk(...LISTEN, "hold", "release").effects, ["finish"]);
});

test("letting go before the microphone is open asks nothing, and says why", () => {
  const { state, effects } = walk("press", "hold", "release");
  assert.deepEqual([state.name, state.message, effects], ["idle", "why", ["stop"]]);
});

for (const [name, events] of Object.entries({
  looking: ASK,
  speaking: [...ASK, "answered"],
  recording: ["recordingChosen", "speech_started"],
  typed: ["ask"],
})) {
  test(`a press stops what is going on: ${name}`, () => {
    const { state, effects } = walk(...events, "press");
    assert.deepEqual([state.name, effects], ["interrupted", ["stop"]]);
  });
}

test("a press that stops an answer and lasts asks the next question", () => {
  const { names } = walk(...ASK, "answered", "press", "hold", "opened", "release");
  assert.deepEqual(names.slice(-4), ["interrupted", "opening", "listening", "looking"]);
});

test("hands-free listens on after an answer, and after one that was stopped", () => {
  const turn = [...HANDS_FREE, "speech_started", "speech_ended", "answered"];
  assert.equal(walk(...turn, "played").state.name, "listening");
  const { state, effects } = walk(...turn, "press");
  assert.deepEqual([state.name, effects], ["interrupted", ["stop", "open"]]);
  const { isHandsFree, isOpen } = walk(...turn, "press", "opened").state;
  assert.deepEqual([isHandsFree, isOpen], [true, true]);
});

test("speaking over an answer stops its sound, and its question is recognised", () => {
  const { state, effects } = walk(...HANDS_FREE, "speech_started", "speech_ended", "answered", "speech_started");
  assert.deepEqual([state.name, effects], ["recognising", ["stopSound"]]);
});

test("a press while hands-free listens ends it, but asks a question that has begun", () => {
  assert.deepEqual(walk(...HANDS_FREE, "press").state, START);
  const { state, effects } = walk(...HANDS_FREE, "speech_started", "press");
  assert.deepEqual([state.name, state.isHandsFree, effects], ["looking", false, ["finish"]]);
});

test("an answer may come at once, and one that comes while the next question is asked is not spoken", () => {
  assert.equal(walk(...HANDS_FREE, "answered").state.name, "speaking");
  const next = walk(...HANDS_FREE, "speech_started", "speech_ended", "speech_started", "answered");
  assert.equal(next.state.name, "recognising");
});

test("a typed question interrupts hands-free, which then goes on", () => {
  const asked = walk(...HANDS_FREE, "ask");
  assert.deepEqual([asked.state.name, asked.effects], ["looking", ["stop", "ask"]]);
  const after = walk(...HANDS_FREE, "ask", "answered", "over", "played");
  assert.deepEqual([after.state.name, after.effects], ["opening", ["stop", "open"]]);
  assert.deepEqual(walk(...HANDS_FREE, "ask", "failed", "over").effects, ["open"]);
});

test("a failure says why, and what has come of an answer is played to its end", () => {
  const failed = walk(...ASK, "failed", "over").state;
  assert.deepEqual([failed.name, failed.message], ["failed", "why"]);
  assert.deepEqual(walk(...ASK, "answered", "failed", "over", "played").names.slice(-3), [
    "speaking",
    "speaking",
    "failed",
  ]);
});

test("a connection that ends closes the microphone and ends hands-free", () => {
  const { state, effects } = walk(...HANDS_FREE, "failed", "over");
  assert.deepEqual(
    [state.name, state.isHandsFree, state.isOpen, effects],
    ["failed", false, false, ["closeMicrophone"]],
  );
});

test("a new text or pause is listened to with anew, without cutting an answer", () => {
  assert.deepEqual(walk(...HANDS_FREE, "settingChanged").state.name, "opening");
  const speaking = walk(...HANDS_FREE, "speech_started", "speech_ended", "answered", "settingChanged");
  assert.deepEqual([speaking.state.name, speaking.effects], ["speaking", ["open"]]);
  assert.deepEqual(walk("settingChanged").effects, []);
});

test("words are shown while they are recognised, and no longer", () => {
  const caption = { type: "caption", text: "who" };
  assert.equal(walk(...LISTEN, "speech_started", caption).state.caption, "who");
  assert.equal(walk(...LISTEN, "speech_started", caption, "speech_ended").state.caption, "");
});

test("no event breaks any state, and escape leads from each to rest", () => {
  const types = new Set(Object.values(TRANSITIONS).flatMap(Object.keys));
  for (const name of Object.keys(TRANSITIONS)) {
    for (const flags of [0, 1, 2, 3]) {
      const state = { ...START, name, isHandsFree: (flags & 1) > 0, isOpen: (flags & 2) > 0 };
      for (const type of [...types, "unknown"]) assert.ok(reduce(state, { type }).state.name in TRANSITIONS);
      assert.deepEqual(reduce(state, { type: "escape" }).state.name, "idle");
    }
  }
});
