// The text to ask about: typed, chosen, opened or dropped; measured, and marked where the answer stands.
import { byId } from "./dom.js";
import { PageError, WORDS } from "./words.js";

const encoder = new TextEncoder();

/** The text before, in and after a span, which counts characters as Python does, not UTF-16 units. */
export function splitAtSpan(text, [start, end]) {
  const characters = [...text];
  const join = (from, to) => characters.slice(from, to).join("");
  return [join(0, start), join(start, end), join(end)];
}

export class TextPanel {
  onChange = () => {};
  onError = () => {};
  #area = byId("text");
  #backdrop = byId("backdrop");
  #maxBytes = Number.POSITIVE_INFINITY;

  constructor() {
    this.#area.addEventListener("input", () => this.#update());
    this.#area.addEventListener("scroll", () => this.#scrollBackdrop());
    byId("open-text").addEventListener("click", () => byId("text-file").click());
    byId("text-file").addEventListener("change", ({ target }) => this.#open(target.files[0]));
    this.#acceptDrops(byId("text-panel"));
  }

  /** `settings` are those of /page.json. */
  start({ examples, max_context_bytes }) {
    const select = byId("examples");
    this.#maxBytes = max_context_bytes;
    for (const { question, context } of examples) select.add(new Option(question, context));
    select.addEventListener("change", () => this.#choose(select));
    if (!this.value && examples.length) {
      select.selectedIndex = 1;
      this.#choose(select);
    } else {
      this.#update();
    }
  }

  get value() {
    return this.#area.value;
  }

  /** Throw a `PageError` if the text cannot be asked about. */
  check() {
    if (!this.value.trim()) throw new PageError("noText");
    if (this.#bytes > this.#maxBytes) throw new PageError("tooMuchText");
  }

  /** Mark the answer's span, unless the text has changed from `text` since. */
  mark(span, text) {
    this.unmark();
    if (span[0] < 0 || text !== this.value) return;
    const [before, answer, after] = splitAtSpan(text, span);
    const mark = document.createElement("mark");
    mark.textContent = answer;
    this.#backdrop.replaceChildren(before, mark, `${after}\n`);
    this.#area.scrollTop = mark.offsetTop - this.#area.clientHeight / 2;
    this.#scrollBackdrop();
  }

  unmark() {
    this.#backdrop.replaceChildren();
  }

  get #bytes() {
    return encoder.encode(this.value).length;
  }

  #scrollBackdrop() {
    this.#backdrop.scrollTop = this.#area.scrollTop;
  }

  #update() {
    this.unmark();
    const bytes = this.#bytes;
    const isTooMuch = bytes > this.#maxBytes;
    byId("counter").textContent = WORDS.counter(bytes, this.#maxBytes);
    byId("counter").classList.toggle("too-much", isTooMuch);
    this.#area.setAttribute("aria-invalid", isTooMuch);
    this.onChange();
  }

  #set(text, hint = "") {
    this.#area.value = text;
    this.#area.scrollTop = 0;
    byId("hint").textContent = hint;
    this.#update();
  }

  #choose(select) {
    if (select.value) this.#set(select.value, WORDS.exampleHint(select.selectedOptions[0].text));
  }

  async #open(file) {
    if (!file) return;
    try {
      this.#set(new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer()));
      byId("examples").selectedIndex = 0;
    } catch {
      this.onError(WORDS.notText);
    }
  }

  #acceptDrops(panel) {
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
