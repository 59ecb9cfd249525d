// The latest answer: words, score, sound, pictures and times.
import { drawMel, drawWave } from "./pictures.js";

const $ = (id) => document.getElementById(id);

export class AnswerPanel {
  #shown = null;
  #player = $("player");

  constructor() {
    $("details").addEventListener("toggle", () => this.#draw());
    addEventListener("resize", () => this.#draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  /** `exchange` is a question and its answer, as main.js puts them together. */
  show(exchange, isQuiet) {
    this.#shown = exchange;
    $("answer-panel").hidden = false;
    $("question").textContent = exchange.question ? `“${exchange.question}”` : "No words were heard.";
    $("answer").textContent = exchange.answer || "The text has no answer to this.";
    $("answer").classList.toggle("none", !exchange.answer);
    $("score").textContent = exchange.answer ? `score ${exchange.score.toFixed(2)}` : "";
    $("steps").hidden = true;
    this.#draw();
    this.play(exchange.answerAddress, isQuiet);
  }

  play(address, isQuiet = false) {
    this.#player.src = address;
    // A browser that plays nothing by itself leaves that to the controls.
    if (!isQuiet) this.#player.play().catch(() => {});
  }

  hush() {
    this.#player.pause();
  }

  showSteps(steps) {
    const total = (step) => step.queue_seconds + step.input_seconds + step.infer_seconds + step.output_seconds;
    const longest = Math.max(...steps.map(total));
    $("steps").tBodies[0].replaceChildren(...steps.map((step) => row(step.step, total(step), longest)));
    $("steps").hidden = !steps.length;
  }

  #draw() {
    if (!this.#shown || !$("details").open) return;
    const { questionSamples, questionRate, answerSamples, answerRate, mel, melFrames } = this.#shown;
    drawWave($("question-wave"), questionSamples, questionRate, "the question");
    drawMel($("mel"), mel, melFrames);
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
