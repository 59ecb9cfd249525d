// The latest answer: words, score, sound, pictures and times.
import { Chunks } from "./chunks.js";
import { drawMel, drawWave } from "./pictures.js";

const $ = (id) => document.getElementById(id);

export class AnswerPanel {
  #shown = null;
  #sounding = null; // what is shown, until it is hushed
  #chunks = new Chunks();
  #player = $("player");

  constructor() {
    this.#chunks.onChange = () => this.#showPlayer();
    $("stop").addEventListener("click", () => this.hush());
    $("details").addEventListener("toggle", () => this.#draw());
    addEventListener("resize", () => this.#draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  /** `exchange` is a question and its answer, as main.js puts them together; its sound is still to come. */
  show(exchange, isQuiet) {
    this.hush();
    this.#player.removeAttribute("src");
    this.#shown = exchange;
    this.#sounding = isQuiet ? null : exchange;
    $("answer-panel").hidden = false;
    $("question").textContent = exchange.question ? `“${exchange.question}”` : "No words were heard.";
    $("answer").textContent = exchange.answer || "The text has no answer to this.";
    $("answer").classList.toggle("none", !exchange.answer);
    $("score").textContent = exchange.answer ? `score ${exchange.score.toFixed(2)}` : "";
    $("steps").hidden = true;
  }

  /** A chunk of an answer that has several. */
  hear(exchange, samples) {
    exchange.hasChunks = true;
    if (exchange === this.#sounding) this.#chunks.play(samples, exchange.answerRate);
    if (exchange === this.#shown) this.#draw();
  }

  /** No more of it comes: it can be played from its beginning. */
  complete(exchange) {
    if (exchange !== this.#shown) return;
    this.#draw();
    this.#player.src = exchange.answerAddress;
    if (exchange.hasChunks) this.#chunks.stopIfStuck();
    // A browser that plays nothing by itself leaves that to the controls.
    else if (exchange === this.#sounding) this.#player.play().catch(() => {});
  }

  replay(address) {
    this.hush();
    this.#player.src = address;
    this.#player.play().catch(() => {});
  }

  hush() {
    this.#sounding = null;
    this.#chunks.stop();
    this.#player.pause();
  }

  /** Chunks have no controls but the button that stops them. */
  #showPlayer() {
    $("stop").hidden = !this.#chunks.isPlaying;
    this.#player.hidden = this.#chunks.isPlaying;
  }

  showSteps(steps) {
    const several = steps.some(({ requests }) => requests > 1);
    $("steps").caption.textContent = `Time of each step in the server${several ? ", on average" : ""}`;
    const total = (step) => step.queue_seconds + step.input_seconds + step.infer_seconds + step.output_seconds;
    const longest = Math.max(...steps.map(total));
    $("steps").tBodies[0].replaceChildren(...steps.map((step) => row(step.step, total(step), longest)));
    $("steps").hidden = !steps.length;
  }

  #draw() {
    if (!this.#shown || !$("details").open) return;
    const { questionSamples, questionRate, answerSamples, answerRate, mel } = this.#shown;
    drawWave($("question-wave"), questionSamples, questionRate, "the question");
    drawMel($("mel"), mel);
    drawWave($("answer-wave"), answerSamples, answerRate, "the answer");
  }
}

function row(name, seconds, longest) {
  const line = document.createElement("tr");
  const head = Object.assign(document.createElement("th"), { scope: "row", textContent: name.replaceAll("_", " ") });
  const bar = Object.assign(document.createElement("div"), { className: "bar" });
  bar.style.width = `${(100 * seconds) / longest}%`;
  const [drawn, written] = [document.createElement("td"), document.createElement("td")];
  drawn.append(bar);
  written.textContent = (1000 * seconds).toFixed(1);
  line.append(head, drawn, written);
  return line;
}
