// Every text that the page's scripts show; index.html holds those that are always there.
export const WORDS = {
  // The control, with the microphone missing
  noMicrophoneHere: ["No microphone here", "type your question below"],

  // Messages
  stopped: "Stopped.",
  allowMicrophone: "If the browser asks, allow the microphone. Then talk.",
  insecure:
    "There is no microphone here, because browsers give it only to pages on this machine or over HTTPS; you can type, upload a recording, or ask an example.",
  microphoneBlocked: "The microphone is blocked. Allow it in the address bar, or type your question.",
  noMicrophone: "No microphone was found. Connect one, or type your question.",
  lostMicrophone: "The microphone was disconnected. Connect it again, or type your question.",
  brokenMicrophone: "The microphone does not work; another program may be using it. You can type your question.",
  notRecording: "This file is not a recording. Choose a file of sound or video.",
  notAudio: "This recording cannot be read. Save it as WAV or MP3, and choose it again.",
  tooShort: "This recording is too short for a question. Choose a longer one.",
  /** @param {number} seconds */
  tooLongRecording: (seconds) => `This recording is longer than ${seconds} seconds. Cut it to the question.`,
  /** @param {number} bytes */
  tooLarge: (bytes) => `This file is larger than ${Math.floor(bytes / 2 ** 20)} MB. Cut it to the question.`,
  notText: "This file is not a text. Choose a plain text file in UTF-8.",
  noText: "There is no text to answer from yet. Paste one, or choose an example.",
  tooMuchText: "The text is longer than the limit. Shorten it first.",
  noSpeech: "No speech was detected. Talk again, close to the microphone.",
  /** @param {number} seconds */
  tooLong: (seconds) => `The question is longer than ${seconds} seconds. Ask a shorter one.`,
  noPage: "The page has lost its server. Check that it is running, then ask again.",
  lost: "The connection broke. Ask again.",
  /** @param {string} reason */
  brokenOff: (reason) => `The answer broke off. ${reason}`,
  wrongKey: "This server asks for a key. Enter the right one above the control, and ask again.",
  noAnswer: "No answer came in time. The server may be busy; ask again.",
  refusedQuestion: "The server could not use this question or text. Change one of them, and ask again.",
  serverFailed: "The server failed on this question. Ask again; if it fails again, tell the person who runs it.",
  unexpected: "Something went wrong in this page. Reload it.",

  // The text
  /** @type {(bytes: number, maxBytes: number) => string} */
  counter: (bytes, maxBytes) => `${(bytes / 1024).toFixed(1)} of ${maxBytes / 1024} KiB`,
  /** @param {string} question */
  askExample: (question) => `Ask “${question}”`,
  /** @param {number} value */
  seconds: (value) => `${value.toFixed(1)} s`,
  /** @param {string} name */
  recogniser: (name) => `Speech recognition by ${name}`,

  // The conversation
  /** @param {string} question */
  quoted: (question) => `“${question}”`,
  question: "Your question",
  spokenQuestion: "The spoken question",
  noWords: "No words were recognised.",
  looking: "Looking for the answer …",
  noAnswerInText: "The text has no answer to this.",
  spokenAnswer: "The spoken answer",
  edit: "Edit",
  /** @param {number} number */
  editQuestion: (number) => `Edit question ${number}`,
  askAgain: "Ask again",
  details: "Audio and timing",
  /** @type {(time: string, seconds: number | null) => string} */
  asked: (time, seconds) => `Asked at ${time}${seconds === null ? "" : `, answered after ${seconds.toFixed(1)} s`}`,
  /** @param {number} score */
  confidence: (score) =>
    `${score >= 0.9 ? "Very sure" : score >= 0.7 ? "Fairly sure" : "Not sure"} (confidence ${score.toFixed(2)})`,
  step: "Step",
  stepTimes: "Time of each step in the server",
  meanStepTimes: "Mean time of each step in the server",
  melCaption: "Mel spectrogram of the answer",
  /** @param {number} seconds */
  questionWave: (seconds) => `Waveform of the question, ${seconds.toFixed(1)} seconds`,
  /** @param {number} seconds */
  answerWave: (seconds) => `Waveform of the answer, ${seconds.toFixed(1)} seconds`,
  /** @type {(frames: number, bands: number) => string} */
  mel: (frames, bands) => `Mel spectrogram of the answer, ${frames} frames of ${bands} bands`,
  saveQuestion: "Save question",
  saveAnswer: "Save answer",
  textHeading: "Text:",
};

/** What the control says in a state, and what pressing it does. @type {Record<string, [string, string]>} */
const LABELS = {
  idle: ["Hold to talk", "or the space bar; a short press starts, another one asks"],
  opening: ["Opening the microphone …", "press to cancel"],
  listening: ["Listening …", "let go, or press again, to ask"],
  recognising: ["Recognising …", "let go, or press again, to ask"],
  looking: ["Looking for the answer …", "press to stop"],
  speaking: ["Speaking …", "press to stop, hold to ask the next question"],
  interrupted: ["Stopped", "hold to talk again"],
  failed: ["That did not work", "hold to talk again"],
};
/** @type {Record<string, [string, string]>} */
const HANDS_FREE_LABELS = {
  listening: ["Listening …", "just speak, or press to end hands-free"],
  recognising: ["Recognising …", "a pause asks; press to end hands-free"],
  speaking: ["Speaking …", "speak or press to stop"],
  interrupted: ["Stopped", "just speak, or press to end hands-free"],
  failed: ["That did not work", "just speak, or press to end hands-free"],
};
const RECORDING_HINT = "press to stop";
const TOUCH_HINT = "or press once to start, and once more to ask";

/**
 * The label of the control, and its hint.
 * @param {import("./states.js").State} state
 * @param {boolean} isTouch there is no space bar
 */
export function describeState({ name, isHandsFree, isOpen }, isTouch) {
  if (isHandsFree && isOpen && name in HANDS_FREE_LABELS) return HANDS_FREE_LABELS[name];
  const [label, hint] = LABELS[name];
  if (!isOpen && (name === "listening" || name === "recognising")) return [label, RECORDING_HINT];
  return [label, name === "idle" && isTouch ? TOUCH_HINT : hint];
}

/** A shape for each state, so that none is told by its colour alone. @type {Record<string, string>} */
export const ICONS = {
  idle: "M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3M6 11a6 6 0 0 0 12 0M12 17v4",
  opening: "M12 3v4M12 17v4M3 12h4M17 12h4M6 6l2 2M16 16l2 2M18 6l-2 2M8 16l-2 2",
  listening: "M4 10v4M8 7v10M12 3v18M16 7v10M20 10v4",
  recognising: "M4 5h16v11h-9l-4 4v-4H4zM8 9h8M8 12h5",
  looking: "M10.5 4a6.5 6.5 0 1 1 0 13a6.5 6.5 0 0 1 0-13M15.5 15.5L21 21",
  speaking: "M4 9v6h4l5 4V5L8 9zM16 9a4 4 0 0 1 0 6M18.5 6a8 8 0 0 1 0 12",
  interrupted: "M6 6h12v12H6z",
  failed: "M12 3L22 20H2zM12 9v5M12 17v.5",
};

// By the `kind` of a "failed" event. The server's own message, for its operator, goes to the console.
/** @type {Record<string, string>} */
const FAILURES = {
  InvalidKey: WORDS.wrongKey,
  InvalidInput: WORDS.refusedQuestion,
  TooLarge: WORDS.tooMuchText,
  Overloaded: "The server is busy. Ask again in a moment.",
  ServerUnreachable:
    "The speech server does not answer. Try again in a moment, or ask the person who runs it to start it.",
  Unavailable: "The server is busy or not running. Ask again in a moment.",
  TimedOut: WORDS.noAnswer,
};

/**
 * What happened, and what to do. A failure without a kind is the page's own, in its own words.
 * @param {{kind?: string, message: string}} event
 */
export function describeFailure({ kind, message }) {
  return kind === undefined ? message : (FAILURES[kind] ?? WORDS.serverFailed);
}

/** A failure whose message is for the user. */
export class PageError extends Error {}

/** @param {unknown} error */
export function describeError(error) {
  if (error instanceof PageError) return error.message;
  console.error(error);
  return WORDS.unexpected;
}
