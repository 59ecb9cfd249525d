// The list of questions and answers, newest first: its entries, their players, and files to save.
import { toJson, toText } from "./describe.js";
import { byId, element } from "./dom.js";
import { EntryView } from "./entry_view.js";

/** @typedef {import("./conversation.js").Conversation} Conversation */
/** @typedef {import("./conversation.js").Entry} Entry */

const REDRAW_MILLISECONDS = 100; // after the last change of the window's size

export class ConversationView {
  onReplay = () => {};
  onSilence = () => {};
  #list = byId("conversation");
  /** @type {Map<Entry, EntryView>} */ #views = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #redrawing;

  /**
   * @param {Conversation} conversation
   * @param {(question: string, text: string) => void} ask
   */
  constructor(conversation, ask) {
    this.conversation = conversation;
    this.ask = ask;
    // Events of media do not bubble.
    this.#list.addEventListener("play", ({ target }) => this.#replay(target), true);
    this.#list.addEventListener("pause", () => this.onSilence(), true);
    addEventListener("resize", () => this.#drawSoon());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#drawSoon());
    byId("save-json").addEventListener("click", () => save("conversation.json", toJson(conversation.entries)));
    byId("save-text").addEventListener("click", () => save("conversation.txt", toText(conversation.entries)));
  }

  get isReplaying() {
    return this.#players.some(({ paused }) => !paused);
  }

  stopReplaying() {
    for (const player of this.#players) player.pause();
  }

  /**
   * Show what is new of an entry, or that it has gone.
   * @param {Entry} entry
   */
  show(entry) {
    const view = this.#views.get(entry);
    if (!this.conversation.entries.includes(entry)) this.#remove(entry);
    else if (view) view.update();
    else this.#add(entry);
    const { item } = this.#views.get(entry) ?? {};
    // Not at once: the layout that it takes would delay the sound.
    if (item?.classList.contains("latest")) requestAnimationFrame(() => item.scrollIntoView({ block: "nearest" }));
  }

  /** The latest answer no longer stands as the new one. */
  age() {
    this.#list.querySelector(".latest")?.classList.remove("latest");
  }

  /** @returns {HTMLAudioElement[]} */
  get #players() {
    return [...this.#list.querySelectorAll("audio")];
  }

  /** @param {Entry} entry */
  #add(entry) {
    const view = new EntryView(entry, this.ask);
    this.#views.set(entry, view);
    this.age();
    view.item.classList.add("latest");
    this.#list.prepend(view.item);
    byId("conversation-panel").hidden = false;
  }

  /** @param {Entry} entry */
  #remove(entry) {
    this.#views.get(entry)?.item.remove();
    this.#views.delete(entry);
  }

  /** @param {EventTarget | null} chosen */
  #replay(chosen) {
    for (const player of this.#players) if (player !== chosen) player.pause();
    this.onReplay();
  }

  #drawSoon() {
    clearTimeout(this.#redrawing);
    this.#redrawing = setTimeout(() => {
      for (const view of this.#views.values()) view.draw();
    }, REDRAW_MILLISECONDS);
  }
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
