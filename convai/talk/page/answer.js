// The latest answer: words, score, sound, pictures and times.
import { ChunkPlayer } from "./chunks.js";
import { byId, element } from "./dom.js";
import { drawMel, drawWave } from "./pictures.js";
import { concatenate } from "./sound.js";
import { WORDS } from "./words.js";

const REDRAW_MILLISECONDS = 100; // after the last change of the window's size

export class AnswerPanel {
  #shown = null; // an exchange
  #playing = null; // the same until it is stopped
  #chunks = new ChunkPlayer();
  #player = byId("player");
  #redrawing = null;

  constructor() {
    this.#chunks.onChange = () => this.#showPlayer();
    byId("stop").addEventListener("click", () => this.stop());
    byId("details").addEventListener("toggle", () => this.#draw());
    addEventListener("resize", () => this.#drawSoon());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  /** `exchange` is a question and its answer, as main.js makes them; its sound is still to come. */
  show(exchange, isQuiet) {
    this.stop();
    this.#player.removeAttribute("src");
    this.#shown = exchange;
    this.#playing = isQuiet ? null : exchange;
    byId("answer-panel").hidden = false;
    byId("question").textContent = exchange.question ? WORDS.quoted(exchange.question) : WORDS.noWords;
    byId("answer").textContent = exchange.answer || WORDS.noAnswerInText;
    byId("answer").classList.toggle("none", !exchange.answer);
    byId("score").textContent = exchange.answer ? WORDS.score(exchange.score) : "";
    byId("steps").hidden = true;
  }

  /** Play a chunk of an answer that has several. */
  playChunk(exchange, samples) {
    exchange.hasChunks = true;
    if (exchange === this.#playing) this.#chunks.play(samples, exchange.answerRate);
    if (exchange === this.#shown) this.#draw();
  }

  /** All of its sound is there, so it can be played from its beginning. */
  complete(exchange) {
    if (exchange !== this.#shown) return;
    this.#draw();
    this.#player.src = exchange.answerAddress;
    if (exchange.hasChunks) this.#chunks.stopIfBlocked();
    else if (exchange === this.#playing) this.#play();
  }

  replay(address) {
    this.stop();
    this.#player.src = address;
    this.#play();
  }

  stop() {
    this.#playing = null;
    this.#chunks.stop();
    this.#player.pause();
  }

  showSteps(steps) {
    const isMean = steps.some(({ requests }) => requests > 1);
    const sumSeconds = (step) => step.queue_seconds + step.input_seconds + step.infer_seconds + step.output_seconds;
    const longest = Math.max(...steps.map(sumSeconds));
    const rows = steps.map((step) => makeRow(step.step.replaceAll("_", " "), sumSeconds(step), longest));
    byId("steps").caption.textContent = isMean ? WORDS.meanStepTimes : WORDS.stepTimes;
    byId("steps").tBodies[0].replaceChildren(...rows);
    byId("steps").hidden = !steps.length;
  }

  /** If the browser forbids playing by itself, the user starts it with the controls. */
  #play() {
    this.#player.play().catch(() => {});
  }

  /** Chunks have no controls but the button that stops them. */
  #showPlayer() {
    byId("stop").hidden = !this.#chunks.isPlaying;
    this.#player.hidden = this.#chunks.isPlaying;
  }

  #drawSoon() {
    clearTimeout(this.#redrawing);
    this.#redrawing = setTimeout(() => this.#draw(), REDRAW_MILLISECONDS);
  }

  #draw() {
    if (!this.#shown || !byId("details").open) return;
    const { questionSamples, questionRate, answerChunks, answerRate, melChunks } = this.#shown;
    const answerSamples = concatenate(answerChunks);
    drawWave(byId("question-wave"), questionSamples, WORDS.questionWave(questionSamples.length / questionRate));
    drawMel(byId("mel"), concatenate(melChunks), WORDS.mel);
    drawWave(byId("answer-wave"), answerSamples, WORDS.answerWave(answerSamples.length / answerRate));
  }
}

function makeRow(name, seconds, longest) {
  const bar = element("div", { className: "bar" });
  bar.style.width = `${(100 * seconds) / longest}%`;
  return element(
    "tr",
    {},
    element("th", { scope: "row", textContent: name }),
    element("td", {}, bar),
    element("td", { textContent: (1000 * seconds).toFixed(1) }),
  );
}
