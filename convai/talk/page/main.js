// The page: connects the controls, and shows the events of a listening.
import { AnswerPanel } from "./answer.js";
import { byId } from "./dom.js";
import { addToHistory } from "./history.js";
import { Listening } from "./listening.js";
import { Microphone } from "./microphone.js";
import { concatenate, decodeFile, makeWav } from "./sound.js";
import { TextPanel } from "./text.js";
import { describeError, describeFailure, WORDS } from "./words.js";

const RESTART_MILLISECONDS = 500; // after the last change of the text
const UPLOAD_SAMPLES = 8000; // per message

const text = new TextPanel();
const answers = new AnswerPanel();
const microphone = new Microphone();
const handsFree = byId("hands-free");
const listenings = new Set(); // those that are not over
let current = null; // the listening that the microphone feeds
let attempts = 0; // at opening one
let restarting = null; // a timer
let isSpeaking = false; // the user, into the current listening
let isHeld = false; // the button or the space bar
let maxQuestionSeconds = null;

start();

async function start() {
  text.onError = showAlarm;
  connectControls();
  try {
    const settings = await (await fetch("/page.json")).json();
    maxQuestionSeconds = settings.max_question_seconds;
    byId("key-row").hidden = !settings.needs_key;
    byId("recogniser").textContent = settings.recogniser ? WORDS.recogniser(settings.recogniser) : "";
    text.start(settings);
  } catch {
    showAlarm(WORDS.noPage);
  }
}

// Controls

function connectControls() {
  byId("talk").addEventListener("pointerdown", hold);
  byId("talk").addEventListener("click", onTalkClick);
  addEventListener("pointerup", release);
  addEventListener("pointercancel", release);
  addEventListener("keydown", onKeyDown);
  addEventListener("keyup", onKeyUp);
  addEventListener("blur", release);
  document.addEventListener("visibilitychange", onVisibilityChange);
  handsFree.addEventListener("change", onHandsFreeChange);
  byId("pause").addEventListener("input", onPauseInput);
  byId("open-recording").addEventListener("click", () => byId("recording-file").click());
  byId("recording-file").addEventListener("change", onRecordingChosen);
  text.onChange = restartSoon;
}

/** A click without a pointer comes from a keyboard or a screen reader: the first begins, the second ends. */
function onTalkClick({ detail }) {
  if (detail !== 0) return;
  if (isHeld) release();
  else hold();
}

/** The space bar talks unless the focused element uses it. */
function onKeyDown(event) {
  const usesSpace = event.target.closest("textarea, input, select, summary, a, audio, button:not(#talk)");
  if (event.code !== "Space" || usesSpace || handsFree.checked) return;
  event.preventDefault(); // no scrolling, no click of the button
  if (!event.repeat) hold();
}

function onKeyUp(event) {
  if (event.code !== "Space" || !isHeld) return;
  event.preventDefault();
  release();
}

function onVisibilityChange() {
  if (document.hidden && !current) microphone.close();
}

function onHandsFreeChange() {
  if (handsFree.checked) beginHandsFree();
  else endHandsFree();
}

function onPauseInput({ target }) {
  byId("pause-shown").textContent = WORDS.seconds(Number(target.value));
  restartSoon();
}

function onRecordingChosen({ target }) {
  const [file] = target.files;
  target.value = ""; // so that the same file can be chosen again
  if (file) upload(file);
}

// Push-to-talk

async function hold() {
  if (isHeld || handsFree.checked) return;
  isHeld = true;
  interrupt();
  await beginListening(null);
}

function release() {
  if (!isHeld) return;
  isHeld = false;
  if (current) endListening();
}

// Hands-free

async function beginHandsFree() {
  byId("pause-row").hidden = false;
  byId("talk").disabled = true;
  byId("talk-hint").textContent = WORDS.pauseHint;
  await beginListening(Number(byId("pause").value));
}

function endHandsFree() {
  handsFree.checked = false;
  byId("pause-row").hidden = true;
  byId("talk").disabled = false;
  byId("talk-hint").textContent = WORDS.spaceHint;
  endListening();
}

/** A listening keeps its text and pause; after a change of either, a new one replaces it. */
function restartSoon() {
  clearTimeout(restarting);
  restarting = setTimeout(async () => {
    if (!handsFree.checked) return;
    endListening();
    await beginListening(Number(byId("pause").value));
  }, RESTART_MILLISECONDS);
}

// Listening

/** `pauseSeconds` ends a question; null means that letting go does. */
async function beginListening(pauseSeconds) {
  const attempt = ++attempts;
  try {
    text.check();
    showStatus("");
    const rate = await microphone.open();
    if (attempt !== attempts) return; // another began while the microphone opened
    const isWanted = pauseSeconds === null ? isHeld : handsFree.checked;
    if (!isWanted) {
      showStatus(WORDS.microphoneReady); // the user let go, perhaps to allow the microphone
      microphone.pause();
      return;
    }
    current = openListening(rate, pauseSeconds);
  } catch (error) {
    isHeld = false;
    showAlarm(describeError(error));
    if (handsFree.checked) endHandsFree();
    return;
  }
  showTalkButton();
  microphone.onSamples = (samples) => {
    showLevel(samples);
    current.send(samples);
  };
}

function endListening() {
  microphone.pause();
  current?.end();
  current = null;
  isSpeaking = false;
  showTalkButton();
}

/** Open a listening; its `turn` holds the text, and the question and answer that its events are about. */
function openListening(rate, pauseSeconds) {
  const turn = { text: text.value, question: null, exchange: null };
  const start = { sample_rate: rate, context: turn.text, pause_seconds: pauseSeconds, key: byId("key").value || null };
  const listening = new Listening(start, (event) => handleEvent(event, turn, listening));
  listenings.add(listening);
  return listening;
}

/** Before a new question: stop playing, and cancel the rest of an answer. */
function interrupt() {
  answers.stop();
  for (const listening of listenings) {
    if (listening !== current && listening.isAnswering) listening.cancel();
  }
}

async function upload(file) {
  interrupt();
  try {
    text.check();
    showStatus(WORDS.listeningToRecording);
    const { samples, rate } = await decodeFile(file, byId("key").value);
    const listening = openListening(rate, null);
    for (let from = 0; from < samples.length; from += UPLOAD_SAMPLES) {
      listening.send(samples.slice(from, from + UPLOAD_SAMPLES));
    }
    listening.end();
  } catch (error) {
    showAlarm(describeError(error));
  }
}

// Events

function handleEvent(event, turn, listening) {
  const isCurrent = listening === current;
  switch (event.type) {
    case "speech_started":
      isSpeaking = isCurrent;
      answers.stop();
      completeAnswer(turn);
      byId("caption").textContent = "";
      showStatus("");
      break;
    case "caption":
      byId("caption").textContent = event.text;
      break;
    case "speech_ended":
      isSpeaking = false;
      turn.question = event;
      showStatus(WORDS.searching);
      break;
    case "nothing_asked":
      showAlarm(event.reason === "too long" ? WORDS.tooLong(maxQuestionSeconds) : WORDS.noSpeech);
      break;
    case "answered":
      showAnswer(event, turn);
      addChunk(event, turn);
      break;
    case "chunk":
      addChunk(event, turn);
      break;
    case "steps_timed":
      answers.showSteps(event.steps);
      break;
    case "failed":
      showFailure(event, turn);
      break;
    case "over":
      listenings.delete(listening);
      completeAnswer(turn);
      if (isCurrent) stopTalking();
      break;
  }
}

function showFailure(event, turn) {
  console.warn(event.message);
  const isBrokenOff = turn.exchange !== null;
  completeAnswer(turn);
  const failure = describeFailure(event);
  showAlarm(isBrokenOff ? `${WORDS.brokenOff} ${failure}` : failure);
}

/** The web process has ended the listening that the microphone feeds. */
function stopTalking() {
  isHeld = false;
  if (handsFree.checked) endHandsFree();
  else endListening();
}

function showAnswer(event, turn) {
  const { audio, sample_rate } = turn.question;
  turn.exchange = {
    question: event.question,
    answer: event.answer,
    score: event.answer_score,
    questionSamples: audio,
    questionRate: sample_rate,
    questionAddress: URL.createObjectURL(makeWav(audio, sample_rate)),
    answerChunks: [],
    answerRate: event.sample_rate,
    melChunks: [],
  };
  byId("caption").textContent = "";
  showStatus("");
  text.mark(event.answer_span, turn.text);
  answers.show(turn.exchange, isSpeaking || isHeld);
}

function addChunk(event, turn) {
  const { exchange } = turn;
  exchange.answerChunks.push(event.audio);
  exchange.melChunks.push(event.mel);
  const isWhole = event.type === "answered" && event.is_last;
  if (!isWhole) answers.playChunk(exchange, event.audio);
  if (event.is_last) completeAnswer(turn);
}

/** No more chunks of the turn's answer come, if it has one. */
function completeAnswer(turn) {
  const { exchange } = turn;
  if (!exchange) return;
  turn.exchange = null;
  const wav = makeWav(concatenate(exchange.answerChunks), exchange.answerRate);
  exchange.answerAddress = URL.createObjectURL(wav);
  answers.complete(exchange);
  addToHistory(exchange, (address) => answers.replay(address));
}

// What is shown

function showTalkButton() {
  byId("talk").classList.toggle("on", current !== null);
  byId("talk").setAttribute("aria-pressed", current !== null);
  byId("talk-label").textContent = talkLabel();
  if (!current) byId("level").style.transform = "";
}

function talkLabel() {
  if (current) return handsFree.checked ? WORDS.listeningHandsFree : WORDS.listening;
  return handsFree.checked ? WORDS.opening : WORDS.holdToTalk;
}

function showLevel(samples) {
  const peak = samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 32767;
  byId("level").style.transform = `scaleX(${Math.sqrt(peak).toFixed(3)})`;
}

function showStatus(message) {
  byId("status").textContent = message;
  byId("alarm").textContent = "";
}

function showAlarm(message) {
  byId("status").textContent = "";
  byId("alarm").textContent = message;
}
