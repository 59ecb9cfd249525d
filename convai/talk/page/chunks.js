// Plays an answer while it is still being made: chunk after chunk by the clock of Web Audio, without a gap.
const LEAD_SECONDS = 0.02; // what begins at once would begin late, and the next chunk over its end
const START_MILLISECONDS = 1000;

export class Chunks {
  onChange = () => {};
  #context = null;
  #sources = new Set(); // from now to the last chunk
  #end = 0; // of the last chunk, in seconds of the context's clock

  get isPlaying() {
    return this.#sources.size > 0;
  }

  /** 16-bit samples, after what still plays. */
  play(samples, rate) {
    this.#context ??= new AudioContext({ sampleRate: rate });
    this.#context.resume();
    const buffer = this.#context.createBuffer(1, samples.length, rate);
    buffer.copyToChannel(Float32Array.from(samples, (value) => value / 32767), 0);
    const source = new AudioBufferSourceNode(this.#context, { buffer });
    const start = Math.max(this.#end, this.#context.currentTime + LEAD_SECONDS);
    source.connect(this.#context.destination);
    source.onended = () => this.#forget(source);
    source.start(start);
    this.#end = start + buffer.duration;
    this.#sources.add(source);
    this.onChange();
  }

  stop() {
    for (const source of this.#sources) {
      source.stop();
      this.#forget(source);
    }
    this.#end = 0;
  }

  /** A browser that plays nothing by itself leaves that to whatever is there instead. */
  stopIfStuck() {
    setTimeout(() => this.#context?.state !== "running" && this.stop(), START_MILLISECONDS);
  }

  #forget(source) {
    if (this.#sources.delete(source)) this.onChange();
  }
}
