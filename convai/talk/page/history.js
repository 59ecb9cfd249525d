// The conversation so far, latest first; recordings stay in this page and go with it.
const $ = (id) => document.getElementById(id);

/** `replay` plays an exchange's question or answer by its address. */
export function addToHistory(exchange, replay) {
  const number = $("history").children.length + 1;
  const item = document.createElement("li");
  const asked = Object.assign(document.createElement("p"), { className: "asked" });
  asked.textContent = exchange.question || "(no words were heard)";
  const answered = document.createElement("p");
  answered.textContent = exchange.answer || "(no answer in the text)";
  const tools = Object.assign(document.createElement("div"), { className: "tools" });
  for (const [what, address] of [["question", exchange.questionAddress], ["answer", exchange.answerAddress]]) {
    tools.append(button(`Play ${what}`, `Play ${what} ${number}`, () => replay(address)));
    tools.append(download(`Save ${what}`, `Save ${what} ${number}`, address, `${what}-${number}.wav`));
  }
  item.append(asked, answered, tools);
  $("history").prepend(item);
  $("history-panel").hidden = false;
}

function button(text, name, onClick) {
  const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
  made.setAttribute("aria-label", name);
  made.addEventListener("click", onClick);
  return made;
}

function download(text, name, address, file) {
  const made = Object.assign(document.createElement("a"), { href: address, download: file, textContent: text });
  made.setAttribute("aria-label", name);
  return made;
}
