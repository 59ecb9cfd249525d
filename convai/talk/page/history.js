// The conversation so far, latest first; recordings stay in this page and go with it.
import { byId, element } from "./dom.js";
import { WORDS } from "./words.js";

const MAX_EXCHANGES = 100; // each holds up to 1 MB of question and as much of answer

let count = 0;
const addresses = new Map(); // of each exchange's recordings, by its list item

/** `replay` plays an exchange's question or answer by its address. */
export function addToHistory(exchange, replay) {
  const number = ++count;
  const { questionAddress, answerAddress } = exchange;
  const tools = element(
    "div",
    { className: "tools" },
    makeButton(WORDS.playQuestion, number, () => replay(questionAddress)),
    makeDownload(WORDS.saveQuestion, number, questionAddress, `question-${number}.wav`),
    makeButton(WORDS.playAnswer, number, () => replay(answerAddress)),
    makeDownload(WORDS.saveAnswer, number, answerAddress, `answer-${number}.wav`),
  );
  const item = element(
    "li",
    {},
    element("p", { className: "asked", textContent: exchange.question || WORDS.noWords }),
    element("p", { textContent: exchange.answer || WORDS.noAnswerInText }),
    tools,
  );
  addresses.set(item, [questionAddress, answerAddress]);
  byId("history").prepend(item);
  if (addresses.size > MAX_EXCHANGES) removeOldest();
  byId("history-panel").hidden = false;
}

/** Free the memory of its recordings, too. */
function removeOldest() {
  const item = byId("history").lastElementChild;
  for (const address of addresses.get(item)) URL.revokeObjectURL(address);
  addresses.delete(item);
  item.remove();
}

function makeButton(text, number, onClick) {
  const button = element("button", { type: "button", textContent: text, ariaLabel: `${text} ${number}` });
  button.addEventListener("click", onClick);
  return button;
}

function makeDownload(text, number, address, file) {
  return element("a", { href: address, download: file, textContent: text, ariaLabel: `${text} ${number}` });
}
