// Runs in the page before its own scripts: records when the messages of a session are sent and received.
window.timeline = [];

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
