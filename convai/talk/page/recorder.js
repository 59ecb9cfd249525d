// An audio worklet: gathers the microphone's samples into messages of 10 ms, as 16-bit integers.
const MESSAGE_SECONDS = 0.01;

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.samples = new Int16Array(Math.round(sampleRate * MESSAGE_SECONDS));
    this.filled = 0;
  }

  process([[channel]]) {
    for (const value of channel ?? []) {
      this.samples[this.filled++] = Math.max(-1, Math.min(1, value)) * 32767;
      if (this.filled === this.samples.length) {
        this.port.postMessage(this.samples);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("recorder", Recorder);
