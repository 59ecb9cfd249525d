// The page: hands what happens to the reducer of states.js, does what it asks for, and shows the state.
import { ChunkPlayer } from "./chunks.js";
import { Conversation } from "./conversation.js";
import { ConversationView } from "./conversation_view.js";
import { byId } from "./dom.js";
import { Listening } from "./listening.js";
import { Microphone } from "./microphone.js";
import { fetchRecording, RATE, readRecording } from "./sound.js";
import { reduce, START } from "./states.js";
import { TalkButton } from "./talk_button.js";
import { TextPanel } from "./text.js";
import { TypedQuestion } from "./typed_question.js";
import { keepAwake } from "./wake_lock.js";
import { describeError, describeFailure, describeState, PageError, WORDS } from "./words.js";

/** @typedef {import("./states.js").Event} Event */
/** @typedef {import("./conversation.js").Entry} Entry */

const RESTART_MILLISECONDS = 500; // after the last change of the text
const PIECE_SAMPLES = 0.1 * RATE; // of a recording

const text = new TextPanel();
const microphone = new Microphone();
const sound = new ChunkPlayer();
const talkButton = new TalkButton((type) => dispatch({ type, message: WORDS.allowMicrophone }));
const conversation = new Conversation((entry) => list.show(entry));
const list = new ConversationView(conversation, (question, about) => dispatch({ type: "ask", question, text: about }));
const handsFree = byId("hands-free", HTMLInputElement);
const pause = byId("pause", HTMLInputElement);
const typed = byId("typed-question", HTMLInputElement);

let state = START;
/** What is asked now: a listening or a typed question. @type {Listening | TypedQuestion | null} */
let asking = null;
let attempts = 0; // at asking; what an earlier one has begun to open is dropped
/** @type {Entry | null} */
let speaking = null; // the latest whose answer was played as it came
/** @type {ReturnType<typeof setTimeout> | undefined} */
let restarting;
const limits = { questionSeconds: 30, uploadBytes: Number.POSITIVE_INFINITY };

connectControls();
show();
await start();

async function start() {
  try {
    const settings = await (await fetch("/page.json")).json();
    limits.questionSeconds = settings.max_question_seconds;
    limits.uploadBytes = settings.max_upload_bytes;
    byId("key-row").hidden = !settings.needs_key;
    byId("recogniser").textContent = settings.recogniser ? WORDS.recogniser(settings.recogniser) : "";
    text.start(settings);
  } catch {
    dispatch({ type: "refused", message: WORDS.noPage });
  }
}

/**
 * The only way in which the state changes.
 * @param {Event} event
 */
function dispatch(event) {
  const change = reduce(state, event);
  state = change.state;
  for (const effect of change.effects) EFFECTS[effect](event);
  show();
}

/** @param {unknown} error */
function refuse(error) {
  ageAnswer();
  dispatch({ type: "refused", message: describeError(error) });
}

// Controls

function connectControls() {
  text.onChange = restartSoon;
  text.onError = (message) => dispatch({ type: "refused", message });
  text.onAsk = (example) => dispatch({ type: "recordingChosen", example });
  handsFree.addEventListener("change", () => dispatch({ type: handsFree.checked ? "handsFreeOn" : "handsFreeOff" }));
  pause.addEventListener("input", () => {
    byId("pause-shown").textContent = WORDS.seconds(Number(pause.value));
    restartSoon();
  });
  const file = byId("recording-file", HTMLInputElement);
  byId("open-recording").addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    const chosen = file.files?.[0];
    file.value = ""; // so that the same file can be chosen again
    if (chosen) dispatch({ type: "recordingChosen", file: chosen });
  });
  byId("typed").addEventListener("submit", (event) => {
    event.preventDefault();
    const question = typed.value.trim();
    if (!question) return;
    typed.value = "";
    if (matchMedia("(hover: none)").matches) typed.blur(); // its keyboard would hide the answer
    dispatch({ type: "ask", question, text: text.value });
  });
  byId("insecure").hidden = isSecureContext;
  byId("insecure").textContent = WORDS.insecure;
  addEventListener("keydown", ({ key }) => key === "Escape" && dispatch({ type: "escape" }));
  list.onReplay = () => dispatch({ type: "replay" });
  list.onSilence = sound.onChange = onSilence;
  document.addEventListener("visibilitychange", onVisibilityChange);
}

/** A change while a question is under way waits for its answer. */
function restartSoon() {
  clearTimeout(restarting);
  restarting = setTimeout(() => {
    if (state.name === "recognising" || state.name === "looking") restartSoon();
    else dispatch({ type: "settingChanged" });
  }, RESTART_MILLISECONDS);
}

function onSilence() {
  const isWhole = !speaking || speaking.isOver;
  if (!sound.isPlaying && !list.isReplaying && isWhole && state.name === "speaking") dispatch({ type: "played" });
}

function onVisibilityChange() {
  if (document.hidden && !state.isOpen) microphone.close();
  keepAwake(state.isHandsFree);
}

// Effects

/** @type {Record<import("./states.js").Effect, (event: Event) => void>} */
const EFFECTS = {
  open: openMicrophone,
  finish() {
    attempts++;
    microphone.pause();
    if (asking instanceof Listening) asking.end();
  },
  stop() {
    abandon();
    microphone.pause();
    stopSound();
  },
  stopSound,
  closeMicrophone: () => microphone.pause(),
  ask({ question, text: about = "" }) {
    ageAnswer();
    try {
      text.check(about);
    } catch (error) {
      return refuse(error);
    }
    begin(about, (onEvent) => new TypedQuestion({ question, text: about, key: readKey() }, onEvent));
    conversation.askTyped(question);
  },
  listenTo({ example, file }) {
    const attempt = attempts;
    listenToRecording(example, file).catch((error) => attempt === attempts && refuse(error));
  },
};

async function openMicrophone() {
  abandon();
  if (!state.isHandsFree) ageAnswer();
  const attempt = attempts;
  try {
    text.check();
    const rate = await microphone.open();
    if (attempt !== attempts) return;
    const listening = beginListening(rate, state.isHandsFree ? Number(pause.value) : null);
    microphone.onSamples = (samples) => {
      talkButton.showLevel(samples);
      listening.send(samples);
    };
    microphone.onLost = () => refuse(new PageError(WORDS.lostMicrophone));
    dispatch({ type: "opened" });
  } catch (error) {
    if (attempt === attempts) refuse(error);
  }
}

/**
 * A chosen file is sent at once; an example is played meanwhile, as if it were being spoken.
 * @param {import("./text.js").Example | undefined} example
 * @param {File} file
 */
async function listenToRecording(example, file) {
  const attempt = attempts;
  ageAnswer();
  text.check();
  const samples = await readRecording(example ? await fetchRecording(example.audio) : file, readKey(), limits);
  if (attempt !== attempts) return;
  const listening = beginListening(RATE, null);
  if (example) sound.play(samples, RATE);
  for (let from = 0; from < samples.length; from += PIECE_SAMPLES) {
    const piece = samples.slice(from, from + PIECE_SAMPLES);
    listening.send(piece);
    if (example) {
      talkButton.showLevel(piece);
      await new Promise((resolve) => setTimeout(resolve, (1000 * PIECE_SAMPLES) / RATE));
      if (attempt !== attempts) return;
    }
  }
  listening.end();
}

/**
 * @param {number} rate
 * @param {number | null} pauseSeconds that ends a question; null means that the end of the samples does
 */
function beginListening(rate, pauseSeconds) {
  const about = text.value;
  const start = { sample_rate: rate, context: about, pause_seconds: pauseSeconds, key: readKey() || null };
  return begin(about, (onEvent) => new Listening(start, onEvent));
}

/**
 * @template {Listening | TypedQuestion} Asking
 * @param {string} about
 * @param {(onEvent: (event: any) => void) => Asking} make
 */
function begin(about, make) {
  conversation.begin(about);
  const made = make((event) => made === asking && onAskingEvent(event));
  asking = made;
  return made;
}

/** What still comes of the question under way is too late. */
function abandon() {
  attempts++;
  const abandoned = asking;
  asking = null; // its last event is too late, too
  abandoned?.cancel();
  conversation.stop();
}

/** The old answer does not stand as the new one. */
function ageAnswer() {
  list.age();
  text.unmark();
}

function stopSound() {
  sound.stop();
  list.stopReplaying();
}

const readKey = () => byId("key", HTMLInputElement).value;

// Events of a question

/** @param {{type: string, [field: string]: any}} event */
function onAskingEvent(event) {
  const known = event.type === "failed" || event.type === "nothing_asked" ? explain(event) : event;
  const entry = conversation.take(known);
  const isNothing = ["nothing_asked", "failed"].includes(event.type) && !conversation.entries[0]?.failure;
  if (event.type === "speech_started" || isNothing) ageAnswer();
  dispatch(known);
  if (!entry) return;
  if (event.type === "answered") {
    entry.isPlayed = state.name === "speaking"; // not while the next question is asked
    if (entry.isPlayed) speaking = entry;
    text.mark(entry.span, entry.text);
  }
  if (entry.isPlayed && state.name === "speaking") sound.play(event.audio, entry.answerRate);
  if (event.is_last) sound.stopIfBlocked();
}

/** @param {{type: string, [field: string]: any}} event */
function explain(event) {
  if (event.type === "nothing_asked") {
    return { ...event, message: event.reason === "too long" ? WORDS.tooLong(limits.questionSeconds) : WORDS.noSpeech };
  }
  console.warn(event.message);
  const reason = describeFailure(/** @type {any} */ (event));
  return { ...event, message: conversation.isAnswering ? WORDS.brokenOff(reason) : reason };
}

// What is shown

function show() {
  const { name, isHandsFree, caption, message } = state;
  const [label] = describeState(state, false);
  talkButton.show(state, isSecureContext);
  handsFree.checked = isHandsFree;
  handsFree.disabled = !isSecureContext;
  byId("pause-row").hidden = !isHandsFree;
  byId("caption").textContent = caption;
  setText(
    byId("announcer"),
    name === "speaking" && speaking ? `${label} ${speaking.answer || WORDS.noAnswerInText}` : label,
  );
  setText(byId("status"), name === "failed" ? "" : message);
  setText(byId("alarm"), name === "failed" ? message : "");
  keepAwake(state.isHandsFree);
}

/**
 * The same words again are not announced again.
 * @param {HTMLElement} shown
 * @param {string | null} words
 */
function setText(shown, words) {
  if (shown.textContent !== (words ?? "")) shown.textContent = words;
}
