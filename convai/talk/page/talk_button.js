// The one large control, and the space bar: tells a press, a hold and its end apart, and shows the state.
import { byId } from "./dom.js";
import { describeState, ICONS, WORDS } from "./words.js";

const HOLD_MILLISECONDS = 300; // a shorter press begins or ends; a longer one lasts as long as it is held
const TYPING = "textarea, input:is([type=text], [type=password])";
const USES_SPACE = "button, input, select, summary, audio";

export class TalkButton {
  #button = byId("talk", HTMLButtonElement);
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #holding;
  #isPressed = false;
  #isHeld = false;
  #isTabbing = false; // the focus was moved with the keyboard

  /** @param {(type: "press" | "hold" | "release") => void} onEvent */
  constructor(onEvent) {
    this.onEvent = onEvent;
    this.#button.addEventListener("pointerdown", ({ button }) => button === 0 && this.#press());
    // A click without a pointer comes from a keyboard or a screen reader.
    this.#button.addEventListener("click", ({ detail }) => detail === 0 && this.#tap());
    for (const type of ["pointerup", "pointercancel", "blur"]) addEventListener(type, () => this.#release());
    addEventListener("pointerdown", () => {
      this.#isTabbing = false;
    });
    addEventListener("keydown", (event) => this.#onKeyDown(event));
    addEventListener("keyup", (event) => this.#onKeyUp(event));
  }

  /**
   * @param {import("./states.js").State} state
   * @param {boolean} hasMicrophone
   */
  show(state, hasMicrophone) {
    const isAtRest = ["idle", "interrupted", "failed"].includes(state.name);
    const isUseless = isAtRest && !hasMicrophone;
    const [label, hint] = isUseless
      ? WORDS.noMicrophoneHere
      : describeState(state, matchMedia("(hover: none)").matches);
    this.#button.dataset.state = state.name;
    this.#button.disabled = isUseless;
    byId("talk-label").textContent = label;
    byId("talk-hint").textContent = hint;
    document.getElementById("talk-icon")?.setAttribute("d", ICONS[state.name]);
    if (state.name !== "listening" && state.name !== "recognising") byId("level").style.transform = "";
  }

  /** @param {Int16Array} samples */
  showLevel(samples) {
    const peak = samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 32767;
    byId("level").style.transform = `scaleX(${Math.sqrt(peak).toFixed(3)})`;
  }

  #press() {
    if (this.#isPressed || this.#button.disabled) return;
    this.#isPressed = true;
    this.#holding = setTimeout(() => {
      this.#isHeld = true;
      this.onEvent("hold");
    }, HOLD_MILLISECONDS);
    this.onEvent("press");
  }

  #release() {
    if (!this.#isPressed) return;
    clearTimeout(this.#holding);
    const wasHeld = this.#isHeld;
    this.#isPressed = this.#isHeld = false;
    if (wasHeld) this.onEvent("release");
  }

  #tap() {
    this.#press();
    this.#release();
  }

  /**
   * The space bar talks, unless a text is being typed or the keyboard has moved the focus to a control that uses it.
   * @param {KeyboardEvent} event
   */
  #onKeyDown(event) {
    if (event.key === "Tab") this.#isTabbing = true;
    const target = /** @type {Element} */ (event.target);
    const isUsed = target.closest(TYPING) || (this.#isTabbing && target.closest(USES_SPACE) && target !== this.#button);
    if (event.code !== "Space" || event.ctrlKey || event.altKey || event.metaKey || isUsed) return;
    event.preventDefault(); // no scrolling, no click of the focused control
    this.#press();
  }

  /** @param {KeyboardEvent} event */
  #onKeyUp(event) {
    if (event.code !== "Space" || !this.#isPressed) return;
    event.preventDefault();
    this.#release();
  }
}
