// Every text that the page's scripts show; index.html holds those that are always there.
export const WORDS = {
  // The button and its hint
  holdToTalk: "Hold to talk",
  opening: "Opening the microphone …",
  listening: "Listening: release to ask",
  listeningHandsFree: "Listening: just speak",
  spaceHint: "or hold the space bar",
  pauseHint: "a pause ends your question",
  seconds: (value) => `${value.toFixed(1)} s`,

  // Status
  microphoneReady: "The microphone is ready. Hold the button or the space bar while you speak.",
  listeningToRecording: "Listening to the recording …",
  searching: "Looking for the answer …",

  // Alarms
  microphoneBlocked: "Microphone access is blocked. Allow it in the address bar, or upload a recording.",
  noMicrophone: "No microphone was found. Connect one, or upload a recording.",
  brokenMicrophone: "The microphone does not work; another program may be using it. You can upload a recording.",
  insecure: "Browsers allow the microphone only on this machine or over HTTPS. You can upload a recording.",
  notAudio: "This audio format is not supported.",
  notText: "This file is not UTF-8 text.",
  noText: "There is no text to answer from yet. Paste one, or choose an example.",
  tooMuchText: "The text is longer than the limit. Shorten it first.",
  noSpeech: "No speech was detected. Hold the button while you speak, close to the microphone.",
  tooLong: (seconds) => `The question is longer than ${seconds} seconds. Ask a shorter one.`,
  noPage: "The web process does not answer. Start `convai talk` again, then reload this page.",
  lost: "The connection to the web process broke. Ask again.",
  brokenOff: "The answer breaks off here:",
  noAnswer: "No answer came in time. The server may be busy; ask again.",
  unexpected: "Something went wrong in this page. Reload it.",

  // The text
  counter: (bytes, maxBytes) => `${(bytes / 1024).toFixed(1)} of ${maxBytes / 1024} KiB`,
  exampleHint: (question) => `Ask: “${question}”`,

  // The answer
  quoted: (question) => `“${question}”`,
  noWords: "No words were recognised.",
  noAnswerInText: "The text has no answer to this.",
  score: (value) => `score ${value.toFixed(2)}`,
  stepTimes: "Time of each step in the server",
  meanStepTimes: "Mean time of each step in the server",
  questionWave: (seconds) => `Waveform of the question, ${seconds.toFixed(1)} seconds`,
  answerWave: (seconds) => `Waveform of the answer, ${seconds.toFixed(1)} seconds`,
  mel: (frames, bands) => `Mel spectrogram of the answer, ${frames} frames of ${bands} bands`,

  recogniser: (name) => `Speech recognition by ${name}`,

  // The conversation
  playQuestion: "Play question",
  saveQuestion: "Save question",
  playAnswer: "Play answer",
  saveAnswer: "Save answer",
};

// By the `kind` of a "failed" event. The server's own message names addresses and options, which help its operator.
const FAILURES = {
  InvalidKey: "This server asks for a key. Enter the right one above.",
  Overloaded: "The server is busy. Ask again in a moment.",
  ServerUnreachable: "The speech server does not answer. Try again in a moment, or ask its operator to start it.",
  TimedOut: WORDS.noAnswer,
};

export function describeFailure({ kind, message }) {
  return FAILURES[kind] ?? message;
}

/** A failure that is explained to the user in `WORDS[name]`. */
export class PageError extends Error {
  constructor(name) {
    super(WORDS[name]);
  }
}

export function describeError(error) {
  if (error instanceof PageError) return error.message;
  console.error(error);
  return WORDS.unexpected;
}
