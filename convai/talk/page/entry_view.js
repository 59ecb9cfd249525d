// One question and its answer in the list: words, sound, pictures and times.
import { describeAnswer, describeQuestion, excerpt } from "./describe.js";
import { element } from "./dom.js";
import { drawMel, drawWave } from "./pictures.js";
import { concatenate } from "./sound.js";
import { WORDS } from "./words.js";

/** @typedef {import("./conversation.js").Entry} Entry */
/** @typedef {import("./conversation.js").Step} Step */

export class EntryView {
  #question = element("p", { className: "question" });
  #editButton = element("button", { type: "button", textContent: WORDS.edit });
  #edited = element("input", { type: "text", ariaLabel: WORDS.question, autocomplete: "off" });
  #form = element(
    "form",
    { className: "asking", hidden: true },
    this.#edited,
    element("button", { textContent: WORDS.askAgain }),
  );
  #answer = element("p", { className: "answer" });
  #confidence = element("p", { className: "quiet" });
  #excerpt = element("p", { className: "excerpt" });
  #player = element("audio", { controls: true, preload: "metadata" });
  #details = element("details", {});

  /**
   * @param {Entry} entry
   * @param {(question: string, text: string) => void} ask
   */
  constructor(entry, ask) {
    this.entry = entry;
    this.#editButton.ariaLabel = WORDS.editQuestion(entry.number);
    this.#editButton.addEventListener("click", () => this.#edit(true));
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.#edited.value.trim()) return;
      this.#edit(false);
      ask(this.#edited.value.trim(), entry.text);
    });
    this.#form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation(); // it stops no more than the editing
      this.#edit(false);
    });
    this.#player.ariaLabel = `${WORDS.spokenAnswer} ${entry.number}`;
    this.#details.addEventListener("toggle", () => this.#fillDetails());
    this.item = element(
      "li",
      {},
      element("div", { className: "asked" }, this.#question, this.#editButton),
      this.#form,
      this.#answer,
      this.#confidence,
      this.#excerpt,
      this.#player,
      this.#details,
    );
    this.update();
  }

  /** Show what is known of the entry by now. */
  update() {
    const { entry } = this;
    this.#question.textContent = describeQuestion(entry);
    this.#editButton.hidden = !entry.isOver || !this.#form.hidden;
    this.#answer.textContent = describeAnswer(entry);
    this.#answer.classList.toggle("none", !entry.answer);
    this.#answer.classList.toggle("failure", entry.failure !== null);
    this.#confidence.textContent = entry.answer ? WORDS.confidence(entry.score) : "";
    if (entry.answer) {
      const [before, answer, after] = excerpt(entry.text, entry.span);
      this.#excerpt.replaceChildren(before, element("mark", { textContent: answer }), after);
    }
    this.#excerpt.hidden = !entry.answer;
    this.#player.hidden = !entry.answerAddress;
    if (entry.answerAddress && !this.#player.src) this.#player.src = entry.answerAddress;
    this.#details.hidden = !entry.isOver;
    if (entry.isOver) this.#fillDetails();
  }

  /** Draw the pictures at the size that they have now. */
  draw() {
    if (!this.#details.open) return;
    const { questionSamples, questionRate, answerChunks, answerRate, melChunks } = this.entry;
    for (const canvas of this.#details.querySelectorAll("canvas")) {
      if (canvas.className === "mel") drawMel(canvas, concatenate(melChunks), WORDS.mel);
      else if (canvas.className === "question-wave" && questionSamples) {
        drawWave(canvas, questionSamples, WORDS.questionWave(questionSamples.length / questionRate));
      } else {
        const samples = concatenate(answerChunks);
        drawWave(canvas, samples, WORDS.answerWave(samples.length / answerRate));
      }
    }
  }

  /** @param {boolean} isEdited */
  #edit(isEdited) {
    this.#form.hidden = !isEdited;
    this.#question.hidden = this.#editButton.hidden = isEdited;
    if (!isEdited) return this.#editButton.focus();
    this.#edited.value = this.entry.question;
    this.#edited.select();
  }

  /** Pictures are made when they are first looked at. */
  #fillDetails() {
    const { entry } = this;
    const time = entry.askedAt.toLocaleTimeString();
    const parts = [
      element("summary", { textContent: WORDS.details }),
      element("p", { className: "quiet", textContent: WORDS.asked(time, entry.answerSeconds) }),
    ];
    if (this.#details.open) {
      if (entry.questionSamples) {
        const label = `${WORDS.spokenQuestion} ${entry.number}`;
        parts.push(
          makeFigure("question-wave", WORDS.spokenQuestion),
          element("audio", { controls: true, preload: "metadata", src: entry.questionAddress, ariaLabel: label }),
        );
      }
      if (entry.melChunks.length) parts.push(makeFigure("mel", WORDS.melCaption));
      if (entry.answerChunks.length) parts.push(makeFigure("answer-wave", WORDS.spokenAnswer));
      if (entry.steps.length) parts.push(makeTable(entry.steps));
      parts.push(makeDownloads(entry));
    }
    this.#details.replaceChildren(...parts);
    this.draw();
  }
}

/**
 * @param {string} className
 * @param {string} caption
 */
function makeFigure(className, caption) {
  const canvas = element("canvas", { className, role: "img" });
  return element("figure", {}, canvas, element("figcaption", { textContent: caption }));
}

/** @param {Entry} entry */
function makeDownloads({ number, questionAddress, answerAddress }) {
  const links = element("p", { className: "tools" });
  if (questionAddress)
    links.append(makeDownload(WORDS.saveQuestion, number, questionAddress, `question-${number}.wav`));
  if (answerAddress) links.append(makeDownload(WORDS.saveAnswer, number, answerAddress, `answer-${number}.wav`));
  return links;
}

/**
 * @param {string} text
 * @param {number} number
 * @param {string} address
 * @param {string} file
 */
function makeDownload(text, number, address, file) {
  return element("a", { href: address, download: file, textContent: text, ariaLabel: `${text} ${number}` });
}

/** @param {Step[]} steps */
function makeTable(steps) {
  const isMean = steps.some(({ requests }) => requests > 1);
  /** @type {(step: Step) => number} */
  const sumSeconds = (step) => step.queue_seconds + step.input_seconds + step.infer_seconds + step.output_seconds;
  const longest = Math.max(...steps.map(sumSeconds));
  const rows = steps.map((step) => makeRow(step.step.replaceAll("_", " "), sumSeconds(step), longest));
  const head = element(
    "tr",
    {},
    element("th", { scope: "col", textContent: WORDS.step }),
    element("td", {}),
    element("th", { scope: "col", textContent: "ms" }),
  );
  return element(
    "table",
    {},
    element("caption", { textContent: isMean ? WORDS.meanStepTimes : WORDS.stepTimes }),
    element("thead", {}, head),
    element("tbody", {}, ...rows),
  );
}

/**
 * @param {string} name
 * @param {number} seconds
 * @param {number} longest
 */
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
