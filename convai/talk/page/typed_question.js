// A typed question: asked whole, answered whole, in the events of a listening.
import { WORDS } from "./words.js";

const PCM_RATE = 24_000; // in Hertz, of the format that /v1/ask calls pcm
/** @type {Record<number, string>} */
const KINDS = {
  400: "InvalidInput",
  401: "InvalidKey",
  413: "TooLarge",
  429: "Overloaded",
  503: "Unavailable",
  504: "TimedOut",
};

export class TypedQuestion {
  #controller = new AbortController();

  /**
   * @param {{question: string, text: string, key: string}} asked
   * @param {(event: {type: string, [field: string]: any}) => void} onEvent as of `Listening`
   */
  constructor(asked, onEvent) {
    this.#ask(asked)
      .then(onEvent, () => onEvent({ type: "failed", message: WORDS.noPage }))
      .then(() => onEvent({ type: "over" }));
  }

  cancel() {
    this.#controller.abort();
  }

  /** @param {{question: string, text: string, key: string}} asked */
  async #ask({ question, text, key }) {
    const body = new FormData();
    body.append("question", question);
    body.append("context", text);
    body.append("audio_format", "pcm");
    const response = await fetch("/v1/ask", {
      method: "POST",
      body,
      headers: authorise(key),
      signal: this.#controller.signal,
    });
    if (!response.ok) return { type: "failed", kind: kindOf(response.status), message: await response.text() };
    const { answer_audio, ...fields } = await response.json();
    return { type: "answered", ...fields, sample_rate: PCM_RATE, audio: decodePcm(answer_audio), is_last: true };
  }
}

/**
 * The headers of a request.
 * @param {string} key
 * @returns {Record<string, string>}
 */
export function authorise(key) {
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** @param {number} status of a refusal */
export const kindOf = (status) => KINDS[status] ?? "ServerError";

/**
 * 16-bit samples from base64.
 * @param {string} text
 */
function decodePcm(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new Int16Array(bytes.buffer);
}
