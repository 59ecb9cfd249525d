// The microphone: opened when first needed, closed when unused for a while or when the page is hidden.
import { PageError, WORDS } from "./words.js";

const IDLE_MILLISECONDS = 30_000;
// Echo cancellation keeps the answer out of the next question. The recogniser was trained on unprocessed speech.
const CONSTRAINTS = { echoCancellation: true, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
/** @type {Record<string, string>} */
const REFUSALS = { NotAllowedError: WORDS.microphoneBlocked, NotFoundError: WORDS.noMicrophone };

/** @typedef {(samples: Int16Array) => void} OnSamples */

export class Microphone {
  /** @type {OnSamples} */ onSamples = () => {};
  /** @type {() => void} It was unplugged, or the permission taken back. */ onLost = () => {};
  /** @type {ReturnType<typeof start> | null} */ #opened = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #idle;

  /** Resolves to the sample rate in Hertz once samples flow to `onSamples`. */
  async open() {
    clearTimeout(this.#idle);
    this.#opened ??= start(
      (samples) => this.onSamples(samples),
      () => {
        this.close();
        this.onLost();
      },
    );
    const opened = this.#opened;
    try {
      const { context } = await opened;
      await context.resume();
      return context.sampleRate;
    } catch (error) {
      if (this.#opened === opened) this.#opened = null;
      throw error;
    }
  }

  /** No samples are needed now. */
  pause() {
    this.onSamples = this.onLost = () => {};
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.close(), IDLE_MILLISECONDS);
  }

  close() {
    this.#opened?.then(release, () => {}); // `open` says why there is none
    this.#opened = null;
  }
}

/** @param {{stream: MediaStream, context: AudioContext}} opened */
async function release({ stream, context }) {
  for (const track of stream.getTracks()) track.stop();
  await context.close();
}

/**
 * @param {OnSamples} onSamples
 * @param {() => void} onLost
 */
async function start(onSamples, onLost) {
  const stream = await requestStream();
  for (const track of stream.getTracks()) track.onended = onLost;
  const context = new AudioContext();
  try {
    await context.audioWorklet.addModule("/page/recorder.js");
  } catch {
    await release({ stream, context });
    throw new PageError(WORDS.noPage); // which serves this file
  }
  const recorder = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 });
  recorder.port.onmessage = ({ data }) => onSamples(data);
  context.createMediaStreamSource(stream).connect(recorder);
  return { stream, context };
}

async function requestStream() {
  if (!navigator.mediaDevices) throw new PageError(WORDS.insecure);
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: CONSTRAINTS });
  } catch (error) {
    throw new PageError(REFUSALS[error instanceof DOMException ? error.name : ""] ?? WORDS.brokenMicrophone);
  }
}
