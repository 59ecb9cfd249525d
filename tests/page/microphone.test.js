import assert from "node:assert/strict";
import { test } from "node:test";

import { Microphone } from "../../convai/talk/page/microphone.js";

test("a microphone that is refused late does not lose the one that was opened since", async () => {
  const asked = [];
  let stopped = 0;
  const mediaDevices = { getUserMedia: () => new Promise((grant, refuse) => asked.push({ grant, refuse })) };
  Object.defineProperty(globalThis, "navigator", { value: { mediaDevices }, configurable: true });
  globalThis.AudioContext = class {
    audioWorklet = { addModule: async () => {} };
    createMediaStreamSource = () => ({ connect() {} });
    resume = async () => {};
    close = async () => {};
  };
  globalThis.AudioWorkletNode = class {
    port = {};
  };
  const microphone = new Microphone();
  const first = microphone.open();
  microphone.close(); // the page is hidden while the browser still asks
  const second = microphone.open();
  asked[0].refuse(new Error("no"));
  await assert.rejects(first, /does not work/);
  asked[1].grant({ getTracks: () => [{ stop: () => stopped++ }] });
  await second;
  microphone.close();
  await new Promise(setImmediate);
  assert.equal(stopped, 1);
});

test("a microphone that is unplugged is closed and reported, unless nothing is being recorded", async () => {
  const tracks = [];
  const getUserMedia = async () => {
    tracks.push({ stop() {} });
    return { getTracks: () => [tracks.at(-1)] };
  };
  Object.defineProperty(globalThis, "navigator", { value: { mediaDevices: { getUserMedia } }, configurable: true });
  const microphone = new Microphone();
  let losses = 0;
  for (const isPaused of [false, true]) {
    await microphone.open();
    microphone.onLost = () => losses++;
    if (isPaused) microphone.pause();
    tracks.at(-1).onended();
  }
  assert.equal(losses, 1);
  await microphone.open();
  assert.equal(tracks.length, 3); // opened anew each time
  microphone.close();
});
