import assert from "node:assert/strict";
import { test } from "node:test";

import { ChunkPlayer } from "../../convai/talk/page/chunks.js";
import { checkRecording, concatenate, makeWav, mixDown, readRecording } from "../../convai/talk/page/sound.js";

test("chunks become one array of their kind", () => {
  assert.deepEqual(concatenate([Int16Array.of(1, 2), Int16Array.of(), Int16Array.of(-3)]), Int16Array.of(1, 2, -3));
  assert.deepEqual(concatenate([Uint8Array.of(255)]), Uint8Array.of(255));
});

test("channels are averaged and clipped", () => {
  const left = Float32Array.of(1, 0.5, 2, -2);
  const right = Float32Array.of(-1, 0.5, 2, -2);
  assert.deepEqual(mixDown([left, right]), Int16Array.of(0, 16383, 32767, -32767));
});

test("a WAV file states its format and holds the samples", async () => {
  const blob = makeWav(Int16Array.of(1, -2, 3), 22_050);
  const view = new DataView(await blob.arrayBuffer());
  const readText = (offset) => String.fromCharCode(...new Uint8Array(view.buffer, offset, 4));
  assert.equal(blob.type, "audio/wav");
  assert.deepEqual([0, 8, 12, 36].map(readText), ["RIFF", "WAVE", "fmt ", "data"]);
  assert.equal(view.getUint32(4, true), view.byteLength - 8);
  assert.equal(view.getUint16(20, true), 1); // PCM
  assert.equal(view.getUint16(22, true), 1); // channel
  assert.equal(view.getUint32(24, true), 22_050);
  assert.equal(view.getUint32(28, true), 44_100); // bytes per second
  assert.equal(view.getUint16(34, true), 16); // bits
  assert.equal(view.getUint32(40, true), 6);
  assert.deepEqual(new Int16Array(view.buffer, 44), Int16Array.of(1, -2, 3));
});

test("a file of another kind, or too large a one, is not sent", () => {
  assert.throws(() => checkRecording({ type: "image/png", size: 1 }, 100), /not a recording/);
  assert.throws(() => checkRecording({ type: "audio/wav", size: 101 }, 100), /larger/);
  checkRecording({ type: "audio/wav", size: 100 }, 100);
  checkRecording({ type: "", size: 100 }, 100); // an unknown kind, such as AMR
});

test("a server that is busy is not a recording that cannot be read", async () => {
  const read = (status) => {
    globalThis.fetch = async () => new Response("", { status });
    return readRecording(new Blob(["?"]), "", { questionSeconds: 30, uploadBytes: 100 });
  };
  await assert.rejects(read(429), /The server is busy/);
  await assert.rejects(read(401), /asks for a key/);
  await assert.rejects(read(400), /cannot be read/);
});

test("an answer after an example is played at its own rate", () => {
  const rates = [];
  globalThis.AudioContext = class {
    currentTime = 0;
    constructor({ sampleRate }) {
      rates.push(sampleRate);
    }
    resume() {}
    createBuffer() {
      return { copyToChannel() {}, duration: 1 };
    }
  };
  globalThis.AudioBufferSourceNode = class {
    connect() {}
    start() {}
  };
  const player = new ChunkPlayer();
  for (const rate of [16_000, 22_050]) player.play(Int16Array.of(1), rate);
  assert.deepEqual(rates, [22_050]);
});
