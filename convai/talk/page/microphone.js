// The microphone: opened when first needed, closed when it was not used for a while or the page is hidden.
import { Trouble } from "./words.js";

const IDLE_MILLISECONDS = 30_000;
// Echo cancellation keeps the answer out of the next question. The recogniser learnt from unprocessed speech.
const WANTED = { echoCancellation: true, noiseSuppression: false, autoGainControl: false, channelCount: 1 };

export class Microphone {
  onSamples = () => {};
  #opened = null;
  #idle = null;

  /** Resolves to the sample rate in Hertz once samples flow to `onSamples`. */
  async open() {
    clearTimeout(this.#idle);
    this.#opened ??= this.#start();
    try {
      const { context } = await this.#opened;
      await context.resume();
      return context.sampleRate;
    } catch (error) {
      this.#opened = null;
      throw error;
    }
  }

  /** Not needed now. */
  rest() {
    this.onSamples = () => {};
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.close(), IDLE_MILLISECONDS);
  }

  async close() {
    const opened = this.#opened;
    this.#opened = null;
    if (!opened) return;
    const { stream, context } = await opened;
    stream.getTracks().forEach((track) => track.stop());
    await context.close();
  }

  async #start() {
    const stream = await permitted();
    const context = new AudioContext();
    await context.audioWorklet.addModule("/page/recorder.js");
    const recorder = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 });
    recorder.port.onmessage = ({ data }) => this.onSamples(data);
    context.createMediaStreamSource(stream).connect(recorder);
    return { stream, context };
  }
}

async function permitted() {
  if (!navigator.mediaDevices) throw new Trouble("insecure");
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: WANTED });
  } catch (error) {
    throw new Trouble({ NotAllowedError: "refused", NotFoundError: "noMicrophone" }[error.name] ?? "brokenMicrophone");
  }
}
