import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { Listening } from "../../convai/talk/page/listening.js";
import { WORDS } from "../../convai/talk/page/words.js";

const START = { sample_rate: 16_000, context: "A text." };

class FakeSocket {
  static CONNECTING = 0;
  static OPEN = 1;
  static CLOSED = 3;
  readyState = FakeSocket.CONNECTING;
  sent = [];

  constructor(address) {
    this.address = String(address);
  }

  send(message) {
    this.sent.push(message);
  }

  open() {
    this.readyState = FakeSocket.OPEN;
    this.onopen();
  }

  receive(event, ...binaries) {
    this.onmessage({ data: JSON.stringify(event) });
    for (const binary of binaries) this.onmessage({ data: binary.buffer });
  }

  close(code = 1005) {
    this.readyState = FakeSocket.CLOSED;
    this.onclose({ code });
  }
}

let socket;
let events;
let listening;

const types = () => events.map(({ type }) => type);
const audio = Int16Array.of(1, -1);
const mel = Uint8Array.of(7);

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout"] });
  globalThis.location = { href: "https://example.org/page?x" };
  globalThis.WebSocket = class extends FakeSocket {
    constructor(address) {
      super(address);
      socket = this;
    }
  };
  events = [];
  listening = new Listening(START, (event) => events.push(event));
});

afterEach(() => mock.timers.reset());

function askQuestion() {
  socket.open();
  socket.receive({ type: "speech_started" });
  socket.receive({ type: "speech_ended" }, audio);
}

test("it connects to the page's own host, encrypted as the page is", () => {
  assert.equal(socket.address, "wss://example.org/v1/listen");
});

test("what is sent before the connection stands arrives in order, as it was then", () => {
  const samples = Int16Array.of(1, 2);
  listening.send(samples);
  samples.fill(0); // the recorder reuses its array
  assert.deepEqual(socket.sent, []);
  socket.open();
  assert.deepEqual(socket.sent, [JSON.stringify(START), Int16Array.of(1, 2)]);
});

test("an event waits for its binary messages", () => {
  socket.open();
  socket.receive({ type: "answered", is_last: true }, audio);
  assert.deepEqual(types(), []);
  socket.onmessage({ data: mel.buffer });
  assert.deepEqual(events, [{ type: "answered", is_last: true, audio, mel }]);
});

test("speaking over an answer ends it", () => {
  askQuestion();
  socket.receive({ type: "answered", is_last: false }, audio, mel);
  socket.receive({ type: "speech_started" });
  mock.timers.tick(60_000);
  assert.equal(types().at(-1), "speech_started");
});

test("an answer that does not come in time is a failure", () => {
  askQuestion();
  mock.timers.tick(39_000);
  assert.equal(types().includes("failed"), false);
  mock.timers.tick(2_000);
  assert.deepEqual(events.slice(-2), [{ type: "failed", message: WORDS.noAnswer }, { type: "over" }]);
});

test("each chunk extends the time for the next", () => {
  askQuestion();
  for (let chunk = 0; chunk < 3; chunk++) {
    mock.timers.tick(30_000);
    socket.receive({ type: chunk ? "chunk" : "answered", is_last: chunk === 2 }, audio, mel);
  }
  mock.timers.tick(60_000);
  assert.equal(types().includes("failed"), false);
});

test("silence needs no answer", () => {
  socket.open();
  listening.end();
  socket.receive({ type: "nothing_asked", reason: "no speech" });
  mock.timers.tick(60_000);
  socket.close(1000);
  assert.deepEqual(types(), ["nothing_asked", "over"]);
});

test("a connection that never stood is told apart from one that broke", () => {
  socket.close(1006);
  assert.deepEqual(events, [{ type: "failed", message: WORDS.noPage }, { type: "over" }]);
  events = [];
  listening = new Listening(START, (event) => events.push(event));
  askQuestion();
  socket.close(1000); // in order, but with a question open
  assert.deepEqual(events.at(-2), { type: "failed", message: WORDS.lost });
});

test("after the server's own explanation, the end of the connection needs none", () => {
  askQuestion();
  socket.receive({ type: "failed", message: "busy" });
  socket.close(1006);
  assert.deepEqual(types().slice(-2), ["failed", "over"]);
});

test("cancelling closes the connection without a failure", () => {
  askQuestion();
  listening.cancel();
  assert.equal(socket.readyState, FakeSocket.CLOSED);
  assert.deepEqual(types(), ["speech_started", "speech_ended", "over"]);
});
