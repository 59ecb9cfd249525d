// The page: hands what happens to the reducer of states.js, does what it asks for, and shows the state.
import { ChunkPlayer } from "./chunks.js";
import { Conversation, toJson, toText } from "./conversation.js";
import { byId, element } from "./dom.js";
import { EntryView } from "./entry_view.js";
import { Listening } from "./listening.js";
import { Microphone } from "./microphone.js";
import { checkRecording, decodeFile } from "./sound.js";
import { reduce, START } from "./states.js";
import { TalkButton } from "./talk_button.js";
import { TextPanel } from "./text.js";
import { TypedQuestion } from "./typed_question.js";
import { describeError, describeFailure, describeState, PageError, WORDS } from "./words.js";

/** @typedef {import("./states.js").Event} Event */
/** @typedef {import("./conversation.js").Entry} Entry */

const RESTART_MILLISECONDS = 500; // after the last change of the text
const REDRAW_MILLISECONDS = 100; // after the last change of the window's size
const PIECE_SECONDS = 0.1; // of a recording

const text = new TextPanel();
const microphone = new Microphone();
const sound = new ChunkPlayer();
const talkButton = new TalkButton((type) => dispatch({ type, message: WORDS.allowMicrophone }));
const conversation = new Conversation(showEntry);
/** @type {Map<Entry, EntryView>} */
const views = new Map();
const list = byId("conversation");
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
/** @type {ReturnType<typeof setTimeout> | undefined} */
let redrawing;
/** @type {Promise<WakeLockSentinel | null> | null} */
let wakeLock = null;
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
  byId("save-json").addEventListener("click", () => save("conversation.json", toJson(conversation.entries)));
  byId("save-text").addEventListener("click", () => save("conversation.txt", toText(conversation.entries)));
  byId("insecure").hidden = isSecureContext;
  byId("insecure").textContent = WORDS.insecure;
  addEventListener("keydown", ({ key }) => key === "Escape" && dispatch({ type: "escape" }));
  // Events of media do not bubble.
  list.addEventListener("play", ({ target }) => onReplay(/** @type {HTMLAudioElement} */ (target)), true);
  list.addEventListener("pause", onSilence, true);
  sound.onChange = onSilence;
  document.addEventListener("visibilitychange", onVisibilityChange);
  addEventListener("resize", drawSoon);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawSoon);
}

/** A change while a question is under way waits for its answer. */
function restartSoon() {
  clearTimeout(restarting);
  restarting = setTimeout(() => {
    if (state.name === "recognising" || state.name === "looking") restartSoon();
    else dispatch({ type: "settingChanged" });
  }, RESTART_MILLISECONDS);
}

/** @param {HTMLAudioElement} chosen */
function onReplay(chosen) {
  for (const player of list.querySelectorAll("audio")) if (player !== chosen) player.pause();
  dispatch({ type: "replay" });
}

function onSilence() {
  const isReplaying = [...list.querySelectorAll("audio")].some(({ paused }) => !paused);
  const isWhole = !speaking || speaking.isOver;
  if (!sound.isPlaying && !isReplaying && isWhole && state.name === "speaking") dispatch({ type: "played" });
}

function onVisibilityChange() {
  if (document.hidden && !state.isOpen) microphone.close();
  keepAwake();
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
  if (!example) checkRecording(file, limits.uploadBytes);
  const recording = example ? await fetchRecording(example.audio) : file;
  const { samples, rate } = await decodeFile(recording, readKey());
  if (attempt !== attempts) return;
  const seconds = samples.length / rate;
  if (seconds > limits.questionSeconds) throw new PageError(WORDS.tooLongRecording(limits.questionSeconds));
  if (seconds < PIECE_SECONDS) throw new PageError(WORDS.tooShort);
  const listening = beginListening(rate, null);
  if (example) sound.play(samples, rate);
  const length = Math.round(PIECE_SECONDS * rate);
  for (let from = 0; from < samples.length; from += length) {
    const piece = samples.slice(from, from + length);
    listening.send(piece);
    if (example) {
      talkButton.showLevel(piece);
      await new Promise((resolve) => setTimeout(resolve, 1000 * PIECE_SECONDS));
      if (attempt !== attempts) return;
    }
  }
  listening.end();
}

/** @param {string} address */
async function fetchRecording(address) {
  const response = await fetch(address).catch(() => null);
  if (!response?.ok) throw new PageError(WORDS.noPage);
  return response.blob();
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

/** Whatever comes of the question under way is too late. */
function abandon() {
  attempts++;
  const abandoned = asking;
  asking = null; // its last event is too late, too
  abandoned?.cancel();
  conversation.stop();
}

/** The old answer does not stand as the new one. */
function ageAnswer() {
  list.querySelector(".latest")?.classList.remove("latest");
  text.unmark();
}

function stopSound() {
  sound.stop();
  for (const player of list.querySelectorAll("audio")) player.pause();
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
  setText(byId("announcer"), name === "speaking" && speaking ? `${label} ${speaking.answer}` : label);
  setText(byId("status"), name === "failed" ? "" : message);
  setText(byId("alarm"), name === "failed" ? message : "");
  keepAwake();
}

/**
 * The same words again are not announced again.
 * @param {HTMLElement} shown
 * @param {string | null} words
 */
function setText(shown, words) {
  if (shown.textContent !== (words ?? "")) shown.textContent = words;
}

/** The screen stays on in hands-free. */
function keepAwake() {
  const isWanted = state.isHandsFree && !document.hidden;
  if (isWanted) {
    wakeLock ??= navigator.wakeLock?.request("screen").catch(() => null) ?? null;
  } else {
    wakeLock?.then((lock) => lock?.release());
    wakeLock = null;
  }
}

/** @param {Entry} entry */
function showEntry(entry) {
  let view = views.get(entry);
  if (!conversation.entries.includes(entry)) {
    view?.item.remove();
    views.delete(entry);
    return;
  }
  if (view) {
    view.update();
  } else {
    view = new EntryView(entry, (question, about) => dispatch({ type: "ask", question, text: about }));
    views.set(entry, view);
    ageAnswer();
    view.item.classList.add("latest");
    list.prepend(view.item);
    byId("conversation-panel").hidden = false;
  }
  if (view.item.classList.contains("latest")) view.item.scrollIntoView({ block: "nearest" });
}

function drawSoon() {
  clearTimeout(redrawing);
  redrawing = setTimeout(() => {
    for (const view of views.values()) view.draw();
  }, REDRAW_MILLISECONDS);
}

/**
 * @param {string} name of the file
 * @param {string} content
 */
function save(name, content) {
  const address = URL.createObjectURL(new Blob([content], { type: "text/plain" }));
  element("a", { href: address, download: name }).click();
  URL.revokeObjectURL(address);
}
