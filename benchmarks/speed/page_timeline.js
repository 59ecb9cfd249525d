// Runs in the page before its own scripts: records when the messages of a session are sent and received, and sounds.
window.timeline = [];

/** Resolves to the timeline once the last answer sounds. */
window.readTimeline = async () => {
  const isSilent = () => window.timeline.findLast(({ type }) => /sound|answered/.test(type)).type === "answered";
  for (let tries = 0; isSilent() && tries < 100; tries++) await new Promise((resolve) => setTimeout(resolve, 50));
  return window.timeline;
};

const noteSound = (delay) => window.timeline.push({ type: "sound", at_seconds: performance.now() / 1000 + delay });
document.addEventListener("playing", () => noteSound(0), true);
const { start } = AudioBufferSourceNode.prototype;
AudioBufferSourceNode.prototype.start = function (when = 0) {
  noteSound(Math.max(0, when - this.context.currentTime));
  start.call(this, when);
};

window.WebSocket = class extends WebSocket {
  constructor(...addresses) {
    super(...addresses);
    this.addEventListener("message", ({ data }) => {
      const isText = typeof data === "string";
      const { audio, mel, ...event } = isText ? JSON.parse(data) : { type: "binary", bytes: data.byteLength };
      window.timeline.push({ at_seconds: performance.now() / 1000, ...event });
    });
  }

  send(message) {
    const isText = typeof message === "string";
    const sent = isText ? { ...JSON.parse(message), type: "start" } : { type: "samples", count: message.length };
    window.timeline.push({ at_seconds: performance.now() / 1000, ...sent });
    super.send(message);
  }
};
