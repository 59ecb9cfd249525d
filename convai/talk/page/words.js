// What the page says when something is in the way.
export const WORDS = {
  refused: "The browser keeps the microphone from this page. Allow it beside the address, or upload a recording.",
  noMicrophone: "There is no microphone. Connect one, or upload a recording.",
  brokenMicrophone: "The microphone does not work; another program may be using it. You can upload a recording instead.",
  insecure: "Browsers give the microphone only to pages on this machine or over HTTPS. You can upload a recording instead.",
  notAudio: "This file is not a recording that the browser knows.",
  notText: "This file is not text in UTF-8.",
  ready: "The microphone is ready. Hold the button or the space bar while you speak.",
  noText: "There is no text to answer from yet. Paste one, or choose an example.",
  tooMuchText: "The text is longer than the server takes. Shorten it first.",
  noSpeech: "No speech was heard. Hold the button while you speak, close to the microphone.",
  tooLong: "A question may last 30 seconds, and this one is longer. Ask again, more briefly.",
  noPage: "The web process behind this page does not answer. Start `convai talk` again, then reload.",
  lost: "The connection to the web process broke. Ask again.",
  brokenOff: "The answer breaks off here:",
  noAnswer: "No answer came in time. The server may be busy; ask again.",
};

export class Trouble extends Error {
  constructor(name) {
    super(WORDS[name]);
  }
}
