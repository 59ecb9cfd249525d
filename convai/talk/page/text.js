// The text to ask about: typed, chosen, opened or dropped; measured, and marked where the answer stands.
import { splitAtSpan } from "./describe.js";
import { byId, element } from "./dom.js";
import { PageError, WORDS } from "./words.js";

/** @typedef {{title: string, question: string, context: string, audio: string}} Example */

const encoder = new TextEncoder();

export class TextPanel {
  onChange = () => {};
  /** @type {(message: string) => void} */ onError = () => {};
  /** @type {(example: Example) => void} */ onAsk = () => {};
  #area = byId("text", HTMLTextAreaElement);
  #backdrop = byId("backdrop");
  #menu = byId("examples", HTMLSelectElement);
  #maxBytes = Number.POSITIVE_INFINITY;
  /** @type {Example[]} */ #examples = [];

  constructor() {
    const file = byId("text-file", HTMLInputElement);
    this.#area.addEventListener("input", () => this.#update());
    this.#area.addEventListener("scroll", () => this.#scrollBackdrop());
    byId("open-text").addEventListener("click", () => file.click());
    file.addEventListener("change", () => {
      this.#open(file.files?.[0]);
      file.value = ""; // so that the same file can be chosen again
    });
    this.#menu.addEventListener("change", () => this.#choose());
    byId("ask-example").addEventListener("click", () => this.example && this.onAsk(this.example));
    this.#acceptDrops(byId("text-panel"));
  }

  /** @param {{examples: Example[], max_context_bytes: number}} settings those of /page.json */
  start({ examples, max_context_bytes }) {
    this.#maxBytes = max_context_bytes;
    this.#examples = examples;
    for (const { title, context } of examples) this.#menu.add(new Option(title, context));
    if (!this.value && examples.length) {
      this.#menu.selectedIndex = 1;
      this.#choose();
    } else {
      this.#update();
    }
  }

  get value() {
    return this.#area.value;
  }

  /** The example whose text this is, if it is one. */
  get example() {
    return this.#examples.find(({ context }) => context === this.value);
  }

  /**
   * Throw a `PageError` if the text cannot be asked about.
   * @param {string} [text]
   */
  check(text = this.value) {
    if (!text.trim()) throw new PageError(WORDS.noText);
    if (encoder.encode(text).length > this.#maxBytes) throw new PageError(WORDS.tooMuchText);
  }

  /**
   * Mark the answer's span, unless the text has changed from `text` since.
   * @param {import("./conversation.js").Span} span
   * @param {string} text
   */
  mark(span, text) {
    this.unmark();
    if (span[0] < 0 || text !== this.value) return;
    const [before, answer, after] = splitAtSpan(text, span);
    const mark = element("mark", { textContent: answer });
    this.#backdrop.replaceChildren(before, mark, `${after}\n`);
    this.#area.scrollTop = mark.offsetTop - this.#area.clientHeight / 2;
    this.#scrollBackdrop();
  }

  unmark() {
    this.#backdrop.replaceChildren();
  }

  #scrollBackdrop() {
    this.#backdrop.scrollTop = this.#area.scrollTop;
  }

  /** Menu, question and counter follow the text. */
  #update() {
    this.unmark();
    const { example } = this;
    this.#menu.value = example?.context ?? "";
    byId("ask-example").hidden = !example;
    if (example) byId("ask-example-label").textContent = WORDS.askExample(example.question);
    const bytes = encoder.encode(this.value).length;
    const isTooMuch = bytes > this.#maxBytes;
    byId("counter").textContent = WORDS.counter(bytes, this.#maxBytes);
    byId("counter").classList.toggle("too-much", isTooMuch);
    this.#area.ariaInvalid = String(isTooMuch);
    this.onChange();
  }

  /** @param {string} text */
  #set(text) {
    this.#area.value = text;
    this.#area.scrollTop = 0;
    this.#update();
  }

  #choose() {
    if (this.#menu.value) this.#set(this.#menu.value);
  }

  /** @param {File | undefined} file */
  async #open(file) {
    if (!file) return;
    try {
      this.#set(new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer()));
    } catch {
      this.onError(WORDS.notText);
    }
  }

  /** @param {HTMLElement} panel */
  #acceptDrops(panel) {
    panel.addEventListener("dragover", (event) => {
      event.preventDefault();
      panel.classList.add("dropping");
    });
    panel.addEventListener("dragleave", () => panel.classList.remove("dropping"));
    panel.addEventListener("drop", (event) => {
      panel.classList.remove("dropping");
      if (!event.dataTransfer?.files.length) return;
      event.preventDefault();
      this.#open(event.dataTransfer.files[0]);
    });
  }
}
