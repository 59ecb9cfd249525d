// All questions and their answers, newest first. They stay in this page and go with it.
import { concatenate, makeWav } from "./sound.js";
import { WORDS } from "./words.js";

const MAX_ENTRIES = 100; // each holds up to 1 MB of question and as much of answer

/** @typedef {[start: number, end: number]} Span in characters as Python counts them, not in UTF-16 units */
/** @typedef {{step: string, requests: number, [seconds: string]: any}} Step */

/** A question about a text, and what has come of its answer. */
export class Entry {
  /** @type {string | null} */ answer = null; // empty: the text has none
  /** @type {Span} */ span = [-1, -1];
  score = 0;
  /** @type {string | null} */ failure = null;
  /** @type {number | null} */ answerSeconds = null; // from the end of the question to the first sound
  /** @type {Step[]} */ steps = [];
  /** @type {Int16Array | null} */ questionSamples = null; // null if it was typed
  questionRate = 0;
  questionAddress = "";
  /** @type {Int16Array[]} */ answerChunks = [];
  /** @type {Uint8Array[]} */ melChunks = []; // none for a typed question
  answerRate = 0;
  answerAddress = ""; // once no more chunks come
  isPlayed = false; // as it comes

  /**
   * @param {number} number
   * @param {string} text
   * @param {string} question
   */
  constructor(number, text, question) {
    this.number = number;
    this.text = text;
    this.question = question;
    this.askedAt = new Date();
  }

  get isAnswered() {
    return this.answer !== null;
  }

  get isOver() {
    return this.failure !== null || this.answerAddress !== "";
  }

  release() {
    for (const address of [this.questionAddress, this.answerAddress]) if (address) URL.revokeObjectURL(address);
  }
}

export class Conversation {
  /** @type {Entry[]} */ entries = [];
  /** @type {Entry[]} */ #unanswered = []; // in the order in which they were asked, which is that of their answers
  /** @type {Entry | null} */ #answering = null;
  #count = 0;
  #text = "";
  #caption = "";

  /** @param {(entry: Entry) => void} onChange called with an entry that is new or has changed */
  constructor(onChange) {
    this.onChange = onChange;
  }

  get isAnswering() {
    return this.#answering !== null;
  }

  /** @param {string} text what the coming questions are about */
  begin(text) {
    this.#text = text;
    this.#caption = "";
  }

  /** @param {string} question typed */
  askTyped(question) {
    this.#add(question);
  }

  /** No more events come of what was begun. */
  stop() {
    for (const entry of this.#unanswered.splice(0)) this.#fail(entry, WORDS.stopped);
    this.#complete();
  }

  /**
   * Take an event of a listening, or of a typed question.
   * @param {{type: string, [field: string]: any}} event
   * @returns {Entry | null} the entry that its sound belongs to
   */
  take(event) {
    switch (event.type) {
      case "speech_started":
        this.#caption = "";
        this.#complete();
        return null;
      case "caption":
        this.#caption = event.text;
        return null;
      case "speech_ended":
        this.#add(this.#caption, event.audio, event.sample_rate);
        return null;
      case "answered":
        return this.#answer(event);
      case "chunk":
        return this.#addChunk(event);
      case "steps_timed":
        this.#time(event.steps);
        return null;
      case "failed":
        this.#failNext(event.message);
        return null;
      case "over":
        this.stop();
        return null;
      default:
        return null;
    }
  }

  /**
   * @param {string} question
   * @param {Int16Array} [samples]
   * @param {number} [rate]
   */
  #add(question, samples, rate = 0) {
    const entry = new Entry(++this.#count, this.#text, question);
    if (samples) {
      entry.questionSamples = samples;
      entry.questionRate = rate;
      entry.questionAddress = URL.createObjectURL(makeWav(samples, rate));
    }
    this.#unanswered.push(entry);
    this.entries.unshift(entry);
    this.onChange(entry);
    if (this.entries.length > MAX_ENTRIES) this.#removeOldest();
  }

  #removeOldest() {
    const oldest = /** @type {Entry} */ (this.entries.pop());
    oldest.release();
    this.onChange(oldest);
  }

  /** @param {{[field: string]: any}} event */
  #answer(event) {
    const entry = this.#unanswered.shift();
    if (!entry) return null;
    this.#complete();
    this.#answering = entry;
    entry.question = event.question;
    entry.answer = event.answer;
    entry.score = event.answer_score;
    entry.span = event.answer_span;
    entry.answerRate = event.sample_rate;
    entry.answerSeconds = (Date.now() - entry.askedAt.getTime()) / 1000;
    return this.#addChunk(event);
  }

  /** @param {{[field: string]: any}} event */
  #addChunk({ audio, mel, is_last }) {
    const entry = this.#answering;
    if (!entry) return null;
    entry.answerChunks.push(audio);
    if (mel) entry.melChunks.push(mel);
    if (is_last) this.#complete();
    else this.onChange(entry);
    return entry;
  }

  /** No more chunks of the answer come. */
  #complete() {
    const entry = this.#answering;
    if (!entry) return;
    this.#answering = null;
    entry.answerAddress = URL.createObjectURL(makeWav(concatenate(entry.answerChunks), entry.answerRate));
    this.onChange(entry);
  }

  /** @param {Step[]} steps of the latest answer */
  #time(steps) {
    const entry = this.entries.find(({ isAnswered }) => isAnswered);
    if (!entry) return;
    entry.steps = steps;
    this.onChange(entry);
  }

  /** @param {string} message */
  #failNext(message) {
    const entry = this.#answering ?? this.#unanswered.shift();
    this.#complete();
    if (entry) this.#fail(entry, message);
  }

  /**
   * @param {Entry} entry
   * @param {string} message
   */
  #fail(entry, message) {
    entry.failure = message;
    this.onChange(entry);
  }
}
