// Plays an answer while the rest is synthesised: chunk after chunk by the clock of Web Audio, without a gap.
const LEAD_SECONDS = 0.01; // a chunk due at once would start late, and overlap the next
const START_MILLISECONDS = 1000;
const RATE = 22_050; // of the voice; at that of an example, which may come first, it would sound dull

export class ChunkPlayer {
  onChange = () => {};
  /** @type {AudioContext | null} */ #context = null;
  /** @type {Set<AudioBufferSourceNode>} */ #sources = new Set(); // from now to the last chunk
  #end = 0; // of the last chunk, in seconds of the context's clock

  get isPlaying() {
    return this.#sources.size > 0;
  }

  /**
   * Play 16-bit samples after those that still play.
   * @param {Int16Array} samples
   * @param {number} rate
   */
  play(samples, rate) {
    this.#context ??= new AudioContext({ sampleRate: RATE });
    this.#context.resume();
    const buffer = this.#context.createBuffer(1, samples.length, rate);
    const floats = Float32Array.from(samples, (value) => value / 32767);
    buffer.copyToChannel(floats, 0);
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

  /** A browser that forbids playing by itself keeps the context suspended: leave it to the player's controls. */
  stopIfBlocked() {
    setTimeout(() => {
      if (this.#context?.state !== "running") this.stop();
    }, START_MILLISECONDS);
  }

  /** @param {AudioBufferSourceNode} source */
  #forget(source) {
    if (this.#sources.delete(source)) this.onChange();
  }
}
