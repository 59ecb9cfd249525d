// Entries of the conversation in words: excerpts, and files to save.
import { WORDS } from "./words.js";

/** @typedef {import("./conversation.js").Entry} Entry */
/** @typedef {import("./conversation.js").Span} Span */

const EXCERPT_CHARACTERS = 60; // around the answer

/**
 * The text before, in and after a span.
 * @param {string} text
 * @param {Span} span
 * @returns {[string, string, string]}
 */
export function splitAtSpan(text, [start, end]) {
  const characters = [...text];
  /** @type {(from: number, to?: number) => string} */
  const join = (from, to) => characters.slice(from, to).join("");
  return [join(0, start), join(start, end), join(end)];
}

/**
 * As `splitAtSpan`, with a few words on both sides.
 * @param {string} text
 * @param {Span} span
 */
export function excerpt(text, span) {
  const [before, answer, after] = splitAtSpan(text, span);
  const start = [...before].slice(-EXCERPT_CHARACTERS).join("");
  const end = [...after].slice(0, EXCERPT_CHARACTERS).join("");
  return [
    start === before ? before : `… ${start.replace(/^\S*\s+/, "")}`,
    answer,
    end === after ? after : `${end.replace(/\s+\S*$/, "")} …`,
  ];
}

/** @param {Entry[]} entries newest first */
export function toJson(entries) {
  const exchanges = entries.toReversed().map((entry) => ({
    asked_at: entry.askedAt.toISOString(),
    text: entry.text,
    question: entry.question,
    answer: entry.answer,
    answer_span: entry.span,
    answer_score: entry.score,
    answer_seconds: entry.answerSeconds,
    failure: entry.failure,
  }));
  return `${JSON.stringify(exchanges, null, 2)}\n`;
}

/** @param {Entry[]} entries newest first */
export function toText(entries) {
  let text = "";
  let about = "";
  for (const entry of entries.toReversed()) {
    if (entry.text !== about) text += `${WORDS.textHeading}\n${entry.text.trim()}\n\n`;
    about = entry.text;
    text += `${entry.askedAt.toLocaleString()}\n${describeQuestion(entry)}\n${describeAnswer(entry)}\n`;
    text += entry.answer ? `${WORDS.confidence(entry.score)}\n\n` : "\n";
  }
  return text;
}

/** @param {Entry} entry */
export function describeQuestion(entry) {
  if (entry.question) return WORDS.quoted(entry.question);
  return entry.isAnswered ? WORDS.noWords : WORDS.spokenQuestion;
}

/** @param {Entry} entry */
export function describeAnswer(entry) {
  if (entry.answer) return entry.failure ? `${entry.answer} (${entry.failure})` : entry.answer;
  return entry.failure ?? (entry.isAnswered ? WORDS.noAnswerInText : WORDS.looking);
}
