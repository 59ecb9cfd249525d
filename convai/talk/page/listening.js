// One listening of the server: samples go in, events come out. See convai.talk.listening for the messages.
import { WORDS } from "./words.js";

const ANSWER_MILLISECONDS = 40_000; // longer than the web process waits for the server
const FOLLOWING = { speech_ended: ["audio"], answered: ["audio", "mel"], chunk: ["audio", "mel"] }; // binary messages after these events
const READERS = { audio: (buffer) => new Int16Array(buffer), mel: (buffer) => new Uint8Array(buffer) };

export class Listening {
  isAnswering = false; // some chunks of an answer have come, and others have not
  #socket;
  #early = []; // messages from before the connection stood
  #event = null; // whose binary messages are still to come
  #missing = [];
  #unanswered = 0; // questions whose answer has not come to its end
  #deadline = null;
  #isOver = false;

  /** `start` is the first message. `onEvent` takes events by type; "failed" tells why, "over" is the last. */
  constructor(start, onEvent) {
    this.onEvent = onEvent;
    const address = new URL("/v1/listen", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    this.#socket = new WebSocket(address);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onopen = () => this.#early.splice(0).forEach((message) => this.#socket.send(message));
    this.#socket.onmessage = ({ data }) => this.#take(data);
    this.#socket.onclose = ({ code }) => this.#finish(this.#whyClosed(code));
    this.#send(JSON.stringify(start));
  }

  hear(samples) {
    this.#send(samples);
  }

  /** No more samples: what was said is asked now. */
  end() {
    this.#send(JSON.stringify({ end: true }));
    this.#awaitAnswer(0);
  }

  /** Whatever is still to come is not wanted. */
  leave() {
    this.#finish(null);
  }

  #send(message) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(message);
    else if (this.#socket.readyState === WebSocket.CONNECTING) this.#early.push(message.slice());
  }

  #take(data) {
    if (typeof data === "string") {
      this.#event = JSON.parse(data);
      this.#missing = [...(FOLLOWING[this.#event.type] ?? [])];
    } else {
      const name = this.#missing.shift();
      this.#event[name] = READERS[name](data);
    }
    if (!this.#missing.length) this.#tell(this.#event);
  }

  #tell(event) {
    if (event.type === "speech_ended") this.#awaitAnswer(1);
    if (event.type === "nothing_asked") clearTimeout(this.#deadline);
    // Who speaks while an answer is on its way gets no more of it.
    const isInterruption = event.type === "speech_started" && this.isAnswering;
    if (["answered", "chunk", "failed"].includes(event.type) || isInterruption) this.#noteAnswer(event);
    this.onEvent(event);
  }

  #noteAnswer({ is_last }) {
    this.isAnswering = is_last === false;
    if (!this.isAnswering) this.#unanswered--;
    clearTimeout(this.#deadline);
    if (this.#unanswered > 0) this.#awaitAnswer(0);
  }

  #awaitAnswer(questions) {
    this.#unanswered += questions;
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.#finish(WORDS.noAnswer), ANSWER_MILLISECONDS);
  }

  /** What to say of the connection's end, if it is not in order or a refusal has told why. */
  #whyClosed(code) {
    const isInOrder = code === 1000 && this.#unanswered === 0;
    if (isInOrder || this.#event?.type === "failed") return null;
    return this.#event ? WORDS.lost : WORDS.noPage;
  }

  #finish(trouble) {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#deadline);
    this.#socket.close();
    if (trouble) this.onEvent({ type: "failed", message: trouble });
    this.onEvent({ type: "over" });
  }
}
