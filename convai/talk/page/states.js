// What the page is doing: named states, and a table of what each event makes of them. Nothing here touches the browser.

/**
 * @typedef {"idle" | "opening" | "listening" | "recognising" | "looking" | "speaking" | "interrupted" | "failed"} Name
 * @typedef {"open" | "finish" | "stop" | "stopSound" | "closeMicrophone" | "ask" | "listenTo"} Effect what main.js does
 * @typedef {object} State
 * @property {Name} name
 * @property {boolean} isHandsFree
 * @property {boolean} isOpen the microphone feeds a listening
 * @property {string} caption the words so far
 * @property {string | null} message what happened and what to do, if the name does not say it
 * @typedef {{type: string, message?: string, text?: string, [field: string]: any}} Event
 * @typedef {Partial<State> & {effects?: Effect[]}} Change
 * @typedef {(state: State, event: Event) => Change | null} Transition
 */

/** @type {State} */
export const START = { name: "idle", isHandsFree: false, isOpen: false, caption: "", message: null };

/** @type {Change} */
const CLEAR = { caption: "", message: null };

// Changes that several states share

const openMicrophone = () =>
  /** @type {Change} */ ({ ...CLEAR, name: "opening", isOpen: false, effects: ["stop", "open"] });

/** No more is said: the question so far is asked. */
const finish = () => /** @type {Change} */ ({ name: "looking", isOpen: false, caption: "", effects: ["finish"] });

/** Drop what is going on. Hands-free goes on listening. @type {Transition} */
const stop = ({ isHandsFree }) => ({
  ...CLEAR,
  name: "interrupted",
  isOpen: false,
  effects: isHandsFree ? ["stop", "open"] : ["stop"],
});

const cancel = () => /** @type {Change} */ ({ ...START, effects: ["stop"] });

/** An answer under way, and a question that has begun, are not lost. @type {Transition} */
function endHandsFree({ name, isOpen }) {
  if (name === "recognising" && isOpen) return { ...finish(), isHandsFree: false };
  if (name === "looking" || name === "speaking") {
    return { isHandsFree: false, isOpen: false, effects: isOpen ? ["finish"] : [] };
  }
  return cancel();
}

/** Nothing is going on any more. @type {Transition} */
function rest({ isHandsFree, isOpen, message }) {
  if (message !== null) return { name: "failed" };
  if (!isHandsFree) return { name: "idle" };
  return isOpen ? { name: "listening" } : openMicrophone();
}

/** @type {Transition} */
const fail = (_, { message }) => ({ name: "failed", caption: "", message });

const startSpeech = () => /** @type {Change} */ ({ ...CLEAR, name: "recognising" });

// Transitions

/** Events that do the same in every state. @type {Record<string, Transition>} */
const ANYWHERE = {
  handsFreeOn: () => ({ ...openMicrophone(), isHandsFree: true }),
  handsFreeOff: endHandsFree,
  escape: (state) => (state.name === "idle" ? null : cancel()),
  ask: () => ({ ...CLEAR, name: "looking", isOpen: false, effects: ["stop", "ask"] }),
  recordingChosen: () => ({ ...CLEAR, name: "listening", isOpen: false, effects: ["stop", "listenTo"] }),
  opened: () => ({ isOpen: true }),
  // A listening keeps its text and pause; another one replaces it.
  settingChanged: ({ name, isHandsFree, isOpen }) =>
    isHandsFree && isOpen ? { name: name === "listening" ? "opening" : name, isOpen: false, effects: ["open"] } : null,
  refused: (state, event) => ({ ...START, ...fail(state, event), effects: ["stop"] }),
  speech_started: startSpeech,
  speech_ended: () => ({ name: "looking", caption: "" }),
  // The answer to one question may come while the next is being asked; it may also come without any delay.
  answered: ({ name }) => (name === "recognising" ? null : { ...CLEAR, name: "speaking" }),
  nothing_asked: fail,
  failed: fail,
  over: (state, event) => {
    const { name, isHandsFree, isOpen } = state;
    const isWaiting = name !== "speaking" && name !== "failed";
    if (isOpen) {
      return { isHandsFree: false, isOpen: false, name: isWaiting ? "idle" : name, effects: ["closeMicrophone"] };
    }
    if (isWaiting) return rest(state, event);
    return name === "failed" && isHandsFree ? { effects: ["open"] } : null;
  },
};

/** @type {Transition} */
const pressAtRest = (state, event) => (state.isHandsFree ? endHandsFree(state, event) : openMicrophone());

/** @type {Transition} */
function pressWhileListening(state, event) {
  if (state.isHandsFree && state.isOpen) return endHandsFree(state, event);
  return state.isOpen ? finish() : stop(state, event);
}

const replay = () => /** @type {Change} */ ({ name: "speaking", message: null });

/** @type {Transition} */
const releaseWhileListening = ({ isHandsFree, isOpen }) => (isOpen && !isHandsFree ? finish() : null);

/**
 * `press` is a press of the control or the space bar; `hold` follows if it lasts, `release` if a hold ends.
 * @type {Record<Name, Record<string, Transition>>}
 */
export const TRANSITIONS = {
  idle: {
    press: pressAtRest,
    replay,
  },
  opening: {
    press: cancel,
    release: ({ isHandsFree }, { message }) => (isHandsFree ? null : { ...cancel(), message }),
    opened: () => ({ name: "listening", isOpen: true }),
  },
  listening: {
    press: pressWhileListening,
    release: releaseWhileListening,
    replay: ({ isHandsFree, isOpen }) => (isHandsFree && isOpen ? replay() : null),
  },
  recognising: {
    press: pressWhileListening,
    release: releaseWhileListening,
    caption: (_, { text }) => ({ caption: text }),
  },
  looking: {
    press: stop,
  },
  speaking: {
    press: stop,
    played: rest,
    // What has come of the answer is played to its end.
    failed: (_, { message }) => ({ message }),
    speech_started: () => ({ ...startSpeech(), effects: ["stopSound"] }),
  },
  interrupted: {
    press: pressAtRest,
    hold: ({ isHandsFree }) => (isHandsFree ? null : openMicrophone()), // of the press that stopped the answer
    replay,
  },
  failed: {
    press: pressAtRest,
    replay,
  },
};

/**
 * The state after an event, and what has to be done. An event that a state does not know changes nothing.
 * @param {State} state
 * @param {Event} event
 * @returns {{state: State, effects: Effect[]}}
 */
export function reduce(state, event) {
  const transition = TRANSITIONS[state.name][event.type] ?? ANYWHERE[event.type];
  const { effects = [], ...changes } = transition?.(state, event) ?? {};
  return { state: { ...state, ...changes }, effects };
}
