import assert from "node:assert/strict";
import { test } from "node:test";

import { colourMel } from "../../convai/talk/page/pictures.js";

const NUM_MELS = 80;
const NIGHT = [8, 6, 24, 255];
const YELLOW = [252, 240, 180, 255];

test("silence is dark, the loudest is pale, and every pixel is opaque", () => {
  assert.deepEqual([...colourMel(new Uint8Array(NUM_MELS)).subarray(0, 4)], NIGHT);
  const loud = colourMel(new Uint8Array(NUM_MELS).fill(255));
  assert.deepEqual([...loud.subarray(-4)], YELLOW);
});

test("louder is never darker", () => {
  let before = 0;
  for (let level = 0; level < 256; level++) {
    const [red, green, blue] = colourMel(new Uint8Array(NUM_MELS).fill(level));
    const brightness = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    assert.ok(brightness >= before, `level ${level}`);
    before = brightness;
  }
});

test("time runs to the right, and the lowest band is at the bottom", () => {
  const frames = 3;
  const mel = new Uint8Array(frames * NUM_MELS);
  mel[2 * NUM_MELS] = 255; // the last frame's lowest band
  const pixels = colourMel(mel);
  assert.deepEqual([...pixels.subarray(-4)], YELLOW);
  assert.deepEqual([...pixels.subarray(-8, -4)], NIGHT);
});
