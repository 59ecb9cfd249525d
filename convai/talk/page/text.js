// The text to ask about: typed, chosen, opened or dropped; counted, and marked where the answer stands.
import { Trouble, WORDS } from "./words.js";

const $ = (id) => document.getElementById(id);
const encoder = new TextEncoder();

export class TextPanel {
  onChange = () => {};
  onTrouble = () => {};
  #area = $("text");
  #backdrop = $("backdrop");
  #maxBytes = Infinity;

  constructor() {
    this.#area.addEventListener("input", () => this.#changed());
    this.#area.addEventListener("scroll", () => (this.#backdrop.scrollTop = this.#area.scrollTop));
    $("open-text").addEventListener("click", () => $("text-file").click());
    $("text-file").addEventListener("change", ({ target }) => this.#open(target.files[0]));
    this.#takeDrops($("text-panel"));
  }

  /** `settings` are those of /page.json. */
  start({ examples, max_context_bytes }) {
    this.#maxBytes = max_context_bytes;
    for (const { question, context } of examples) $("examples").add(new Option(question, context));
    $("examples").addEventListener("change", ({ target }) => this.#choose(target));
    if (!this.#area.value && examples.length) {
      $("examples").selectedIndex = 1;
      this.#choose($("examples"));
    } else this.#changed();
  }

  get value() {
    return this.#area.value;
  }

  /** Throws what is wrong with the text, if anything. */
  check() {
    if (!this.value.trim()) throw new Trouble("noText");
    if (this.#bytes > this.#maxBytes) throw new Trouble("tooMuchText");
  }

  /** Mark the answer; its span counts characters as Python does, not UTF-16 units. */
  mark([start, end], text) {
    this.unmark();
    if (start < 0 || text !== this.value) return;
    const letters = [...this.value];
    const mark = document.createElement("mark");
    mark.textContent = letters.slice(start, end).join("");
    this.#backdrop.replaceChildren(letters.slice(0, start).join(""), mark, letters.slice(end).join("") + "\n");
    this.#area.scrollTop = mark.offsetTop - this.#area.clientHeight / 2;
    this.#backdrop.scrollTop = this.#area.scrollTop;
  }

  unmark() {
    this.#backdrop.replaceChildren();
  }

  get #bytes() {
    return encoder.encode(this.value).length;
  }

  #changed() {
    this.unmark();
    $("counter").textContent = `${this.#bytes.toLocaleString("en")} of ${this.#maxBytes.toLocaleString("en")} bytes`;
    $("counter").classList.toggle("too-much", this.#bytes > this.#maxBytes);
    this.#area.setAttribute("aria-invalid", this.#bytes > this.#maxBytes);
    this.onChange();
  }

  #set(text, hint = "") {
    this.#area.value = text;
    this.#area.scrollTop = 0;
    $("hint").textContent = hint;
    this.#changed();
  }

  #choose(select) {
    if (!select.value) return;
    this.#set(select.value, `Ask: “${select.selectedOptions[0].text}”`);
  }

  async #open(file) {
    if (!file) return;
    try {
      this.#set(new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer()));
      $("examples").selectedIndex = 0;
    } catch {
      this.onTrouble(WORDS.notText);
    }
  }

  #takeDrops(panel) {
    panel.addEventListener("dragover", (event) => {
      event.preventDefault();
      panel.classList.add("dropping");
    });
    panel.addEventListener("dragleave", () => panel.classList.remove("dropping"));
    panel.addEventListener("drop", (event) => {
      panel.classList.remove("dropping");
      if (!event.dataTransfer.files.length) return;
      event.preventDefault();
      this.#open(event.dataTransfer.files[0]);
    });
  }
}
