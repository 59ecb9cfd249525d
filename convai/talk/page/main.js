// The page: what the controls do, and what becomes of the events of a listening.
import { AnswerPanel } from "./answer.js";
import { addToHistory } from "./history.js";
import { Listening } from "./listening.js";
import { Microphone } from "./microphone.js";
import { joined, samplesOf, wavAddress } from "./sound.js";
import { TextPanel } from "./text.js";
import { WORDS } from "./words.js";

const $ = (id) => document.getElementById(id);
const RESTART_MILLISECONDS = 500; // after the last change of the text
const UPLOAD_SAMPLES = 8000; // per message

const text = new TextPanel();
const answers = new AnswerPanel();
const microphone = new Microphone();
const listenings = new Set(); // that are not over
let current = null; // the one that hears the microphone
let isSpeaking = false;
let isHeld = false;

start();

async function start() {
  text.onTrouble = (message) => say(message, true);
  connectControls();
  try {
    const settings = await (await fetch("/page.json")).json();
    $("key-row").hidden = !settings.needs_key;
    text.start(settings);
  } catch {
    say(WORDS.noPage, true);
  }
}

function connectControls() {
  $("talk").addEventListener("pointerdown", hold);
  addEventListener("pointerup", release);
  addEventListener("pointercancel", release);
  // A click without a pointer comes from a keyboard or a screen reader: the first begins, the second ends.
  $("talk").addEventListener("click", ({ detail }) => detail === 0 && (isHeld ? release() : hold()));
  addEventListener("keydown", onKeyDown);
  addEventListener("keyup", (event) => event.code === "Space" && isHeld && (event.preventDefault(), release()));
  addEventListener("blur", release);
  document.addEventListener("visibilitychange", () => document.hidden && current === null && microphone.close());
  $("hands-free").addEventListener("change", ({ target }) => (target.checked ? beginHandsFree() : endHandsFree()));
  $("pause").addEventListener("input", ({ target }) => {
    $("pause-shown").textContent = `${Number(target.value).toFixed(1)} s`;
    restartSoon();
  });
  text.onChange = restartSoon;
  $("open-recording").addEventListener("click", () => $("recording-file").click());
  $("recording-file").addEventListener("change", ({ target }) => upload(target));
}

/** The space bar talks unless it means something else where the focus is. */
function onKeyDown(event) {
  const isTaken = event.target.closest("textarea, input, select, summary, a, audio, button:not(#talk)");
  if (event.code !== "Space" || isTaken || $("hands-free").checked) return;
  event.preventDefault(); // no scrolling, no click of the button
  if (!event.repeat) hold();
}

// Push-to-talk

async function hold() {
  if (isHeld || $("hands-free").checked) return;
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
  $("pause-row").hidden = false;
  $("talk").disabled = true;
  $("talk-hint").textContent = "a pause ends your question";
  await beginListening(Number($("pause").value));
}

function endHandsFree() {
  $("hands-free").checked = false;
  $("pause-row").hidden = true;
  $("talk").disabled = false;
  $("talk-hint").textContent = "or hold the space bar";
  endListening();
}

let restarting = null;

/** A listening keeps its text and pause; after a change of them another takes over. */
function restartSoon() {
  clearTimeout(restarting);
  restarting = setTimeout(async () => {
    if (!$("hands-free").checked) return;
    endListening();
    await beginListening(Number($("pause").value));
  }, RESTART_MILLISECONDS);
}

// Listening

let attempts = 0;

async function beginListening(pauseSeconds) {
  const attempt = ++attempts;
  try {
    text.check();
    say("");
    const rate = await microphone.open();
    if (attempt !== attempts) return; // another began while the microphone opened
    if (pauseSeconds === null ? !isHeld : !$("hands-free").checked) {
      say(WORDS.ready); // let go while the microphone opened, perhaps to allow it
      return microphone.rest();
    }
    current = newListening(rate, pauseSeconds);
  } catch (error) {
    isHeld = false;
    say(error.message, true);
    if ($("hands-free").checked) endHandsFree();
    return;
  }
  showState();
  microphone.onSamples = (samples) => {
    showLevel(samples);
    current.hear(samples);
  };
}

function endListening() {
  microphone.rest();
  current?.end();
  current = null;
  isSpeaking = false;
  showState();
}

/** A listening whose events know which text they are about. */
function newListening(rate, pauseSeconds) {
  const about = { text: text.value, question: null, exchange: null };
  const start = { sample_rate: rate, context: about.text, pause_seconds: pauseSeconds, key: $("key").value || null };
  const listening = new Listening(start, (event) => take(event, about, listening));
  listenings.add(listening);
  return listening;
}

/** Somebody asks anew, and wants to hear no more of an answer. */
function interrupt() {
  answers.hush();
  for (const listening of listenings) if (listening !== current && listening.isAnswering) listening.leave();
}

function take(event, about, listening) {
  const isCurrent = listening === current;
  switch (event.type) {
    case "speech_started":
      isSpeaking = isCurrent;
      answers.hush();
      endAnswer(about);
      $("caption").textContent = "";
      return say("");
    case "caption":
      $("caption").textContent = event.text;
      return;
    case "speech_ended":
      isSpeaking = false;
      about.question = event;
      return say("Looking for the answer …");
    case "nothing_asked":
      return say(event.reason === "too long" ? WORDS.tooLong : WORDS.noSpeech, true);
    case "answered":
      showAnswer(event, about);
      return addChunk(event, about);
    case "chunk":
      return addChunk(event, about);
    case "steps_timed":
      return answers.showSteps(event.steps);
    case "failed":
      return say(endAnswer(about) ? `${WORDS.brokenOff} ${event.message}` : event.message, true);
    case "over":
      listenings.delete(listening);
      endAnswer(about);
      if (isCurrent) lostListening();
  }
}

/** The web process ended what should go on. */
function lostListening() {
  isHeld = false;
  if ($("hands-free").checked) endHandsFree();
  else endListening();
}

function showAnswer(event, about) {
  about.exchange = {
    question: event.question,
    answer: event.answer,
    score: event.answer_score,
    questionSamples: about.question.audio,
    questionRate: about.question.sample_rate,
    questionAddress: wavAddress(about.question.audio, about.question.sample_rate),
    answerSamples: new Int16Array(),
    answerRate: event.sample_rate,
    mel: new Uint8Array(),
  };
  $("caption").textContent = "";
  say("");
  text.mark(event.answer_span, about.text);
  answers.show(about.exchange, isSpeaking || isHeld);
}

function addChunk(event, about) {
  const { exchange } = about;
  exchange.answerSamples = joined(exchange.answerSamples, event.audio);
  exchange.mel = joined(exchange.mel, event.mel);
  const isWhole = event.type === "answered" && event.is_last;
  if (!isWhole) answers.hear(exchange, event.audio);
  if (event.is_last) endAnswer(about);
}

/** Whether there was one whose chunks were still coming. */
function endAnswer(about) {
  const { exchange } = about;
  if (!exchange) return false;
  about.exchange = null;
  exchange.answerAddress = wavAddress(exchange.answerSamples, exchange.answerRate);
  answers.complete(exchange);
  addToHistory(exchange, (address) => answers.replay(address));
  return true;
}

async function upload(input) {
  const [file] = input.files;
  input.value = ""; // so that the same file can be chosen again
  if (!file) return;
  interrupt();
  try {
    text.check();
    say("Listening to the recording …");
    const { samples, rate } = await samplesOf(file);
    const listening = newListening(rate, null);
    for (let at = 0; at < samples.length; at += UPLOAD_SAMPLES) listening.hear(samples.slice(at, at + UPLOAD_SAMPLES));
    listening.end();
  } catch (error) {
    say(error.message, true);
  }
}

// What is shown

function showState() {
  $("talk").classList.toggle("on", current !== null);
  $("talk").setAttribute("aria-pressed", current !== null);
  const whenOn = $("hands-free").checked ? "Listening: just speak" : "Listening: release to ask";
  $("talk-label").textContent = current ? whenOn : $("hands-free").checked ? "Opening the microphone …" : "Hold to talk";
  if (!current) $("level").style.transform = "";
}

function showLevel(samples) {
  const peak = samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 32767;
  $("level").style.transform = `scaleX(${Math.sqrt(peak).toFixed(3)})`;
}

function say(message, isAlarm = false) {
  $("status").textContent = message;
  $("status").classList.toggle("alarm", isAlarm);
}
