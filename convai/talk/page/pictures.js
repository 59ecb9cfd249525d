// Waveforms and the mel spectrogram, drawn at the screen's own resolution.
const NUM_MELS = 80;
const QUIET_PEAK = 1600; // of 32767; silence is drawn as a line, not magnified
// From night through violet and orange to pale yellow.
const STOPS = [
  [8, 6, 24],
  [74, 20, 110],
  [176, 48, 98],
  [240, 120, 50],
  [252, 240, 180],
];
const COLOURS = makeColours();

/**
 * A column per pixel, from the lowest to the highest of its samples.
 * @param {HTMLCanvasElement} canvas
 * @param {Int16Array} samples
 * @param {string} label
 */
export function drawWave(canvas, samples, label) {
  const pen = fitCanvas(canvas);
  const { width, height } = canvas;
  pen.fillStyle = getComputedStyle(canvas).getPropertyValue("--wave");
  const peak = samples.reduce((most, value) => Math.max(most, Math.abs(value)), QUIET_PEAK);
  for (let x = 0; x < width; x++) {
    const from = Math.floor((x * samples.length) / width);
    const to = Math.ceil(((x + 1) * samples.length) / width);
    const part = samples.subarray(from, to);
    const low = part.reduce((a, b) => Math.min(a, b), 0);
    const high = part.reduce((a, b) => Math.max(a, b), 0);
    const top = (height / 2) * (1 - high / peak);
    pen.fillRect(x, top, 1, Math.max(1, ((height / 2) * (high - low)) / peak));
  }
  canvas.setAttribute("aria-label", label);
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Uint8Array} mel a byte per frame and band, frame by frame, each from its lowest band
 * @param {(frames: number, bands: number) => string} describe
 */
export function drawMel(canvas, mel, describe) {
  const frames = mel.length / NUM_MELS;
  const small = new OffscreenCanvas(frames, NUM_MELS);
  small.getContext("2d")?.putImageData(new ImageData(colourMel(mel), frames, NUM_MELS), 0, 0);
  fitCanvas(canvas).drawImage(small, 0, 0, canvas.width, canvas.height);
  canvas.setAttribute("aria-label", describe(frames, NUM_MELS));
}

/**
 * The picture of `mel` as RGBA bytes, row by row, with the highest band at the top.
 * @param {Uint8Array} mel
 */
export function colourMel(mel) {
  const frames = mel.length / NUM_MELS;
  const pixels = new Uint32Array(mel.length);
  for (let band = 0; band < NUM_MELS; band++) {
    const row = (NUM_MELS - 1 - band) * frames;
    for (let frame = 0; frame < frames; frame++) pixels[row + frame] = COLOURS[mel[frame * NUM_MELS + band]];
  }
  return new Uint8ClampedArray(pixels.buffer);
}

/** The colour of each byte of a spectrogram, its RGBA bytes read as one number. */
function makeColours() {
  const bytes = new Uint8ClampedArray(4 * 256);
  for (let level = 0; level < 256; level++) {
    const position = (level / 255) * (STOPS.length - 1);
    const index = Math.min(Math.floor(position), STOPS.length - 2);
    const share = position - index;
    const colour = STOPS[index].map((value, channel) => value + share * (STOPS[index + 1][channel] - value));
    bytes.set([...colour, 255], 4 * level);
  }
  return new Uint32Array(bytes.buffer);
}

/** @param {HTMLCanvasElement} canvas */
function fitCanvas(canvas) {
  canvas.width = Math.round(canvas.clientWidth * devicePixelRatio);
  canvas.height = Math.round(canvas.clientHeight * devicePixelRatio);
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
}
