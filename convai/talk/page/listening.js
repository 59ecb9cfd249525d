// One listening of the server: samples go out, events come in. docs/listen-protocol.md describes the messages.
import { WORDS } from "./words.js";

const ANSWER_MILLISECONDS = 40_000; // longer than the web process waits for the server
// The binary messages after an event.
/** @type {Record<string, string[]>} */
const BINARIES = { speech_ended: ["audio"], answered: ["audio", "mel"], chunk: ["audio", "mel"] };
/** @type {Record<string, (buffer: ArrayBuffer) => Int16Array | Uint8Array>} */
const DECODERS = { audio: (buffer) => new Int16Array(buffer), mel: (buffer) => new Uint8Array(buffer) };

/** @typedef {{type: string, [field: string]: any}} Event */

export class Listening {
  #isAnswering = false; // some chunks of an answer have come, and the rest has not
  #socket;
  /** @type {(string | Int16Array<ArrayBuffer>)[]} */ #early = []; // messages from before the connection stands
  /** @type {Event | null} */ #event = null; // the latest, whose binary messages may be still to come
  /** @type {string[]} */ #missing = []; // their names
  #unanswered = 0; // questions whose answer is not complete
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #deadline;
  #isOver = false;

  /**
   * @param {object} start the first message
   * @param {(event: Event) => void} onEvent takes events by type; "failed" says why, "over" is the last
   */
  constructor(start, onEvent) {
    this.onEvent = onEvent;
    const address = new URL("/v1/listen", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    this.#socket = new WebSocket(address);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onopen = () => this.#sendEarly();
    this.#socket.onmessage = ({ data }) => this.#receive(data);
    this.#socket.onclose = ({ code }) => this.#finish(this.#explainClose(code));
    this.#send(JSON.stringify(start));
  }

  /** @param {Int16Array} samples */
  send(samples) {
    this.#send(/** @type {Int16Array<ArrayBuffer>} */ (samples));
  }

  /** No more samples come: the server asks the question now. */
  end() {
    this.#send(JSON.stringify({ end: true }));
    this.#awaitAnswer();
  }

  /** Close, and cancel what is still to come. */
  cancel() {
    this.#finish(null);
  }

  /** @param {string | Int16Array<ArrayBuffer>} message */
  #send(message) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(message);
    else if (this.#socket.readyState === WebSocket.CONNECTING) this.#early.push(message.slice());
  }

  #sendEarly() {
    for (const message of this.#early) this.#socket.send(message);
    this.#early = [];
  }

  /** @param {string | ArrayBuffer} data */
  #receive(data) {
    if (typeof data === "string") {
      const event = JSON.parse(data);
      this.#event = event;
      this.#missing = [...(BINARIES[event.type] ?? [])];
    } else {
      const name = this.#missing.shift();
      if (!this.#event || !name) return;
      this.#event[name] = DECODERS[name](data);
    }
    if (this.#event && !this.#missing.length) this.#handle(this.#event);
  }

  /** @param {Event} event */
  #handle(event) {
    if (event.type === "speech_ended") {
      this.#unanswered++;
      this.#awaitAnswer();
    }
    if (event.type === "nothing_asked") clearTimeout(this.#deadline);
    // Speaking while an answer is on its way cancels the rest of it.
    const isInterruption = event.type === "speech_started" && this.#isAnswering;
    if (["answered", "chunk", "failed"].includes(event.type) || isInterruption) this.#noteAnswer(event);
    this.onEvent(event);
  }

  /** @param {Event} event */
  #noteAnswer({ is_last }) {
    this.#isAnswering = is_last === false;
    if (!this.#isAnswering) this.#unanswered--;
    clearTimeout(this.#deadline);
    if (this.#unanswered > 0) this.#awaitAnswer();
  }

  #awaitAnswer() {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.#finish(WORDS.noAnswer), ANSWER_MILLISECONDS);
  }

  /**
   * What the user reads when the connection ends; null if all was answered or a "failed" event has said why.
   * @param {number} code
   */
  #explainClose(code) {
    const isInOrder = code === 1000 && this.#unanswered === 0;
    if (isInOrder || this.#event?.type === "failed") return null;
    return this.#event ? WORDS.lost : WORDS.noPage;
  }

  /** @param {string | null} failure */
  #finish(failure) {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#deadline);
    this.#socket.close();
    if (failure) this.onEvent({ type: "failed", message: failure });
    this.onEvent({ type: "over" });
  }
}
