// Waveforms and the mel spectrogram, drawn at the screen's own resolution.
const NUM_MELS = 80;
const QUIET_PEAK = 1600; // of 32767; silence is drawn as a line, not magnified

function fitted(canvas) {
  const scale = devicePixelRatio;
  canvas.width = Math.round(canvas.clientWidth * scale);
  canvas.height = Math.round(canvas.clientHeight * scale);
  return canvas.getContext("2d");
}

/** A column per pixel, from the lowest to the highest of its samples. */
export function drawWave(canvas, samples, rate, what) {
  const pen = fitted(canvas);
  const { width, height } = canvas;
  pen.fillStyle = getComputedStyle(canvas).getPropertyValue("--wave");
  const peak = samples.reduce((most, value) => Math.max(most, Math.abs(value)), QUIET_PEAK);
  for (let x = 0; x < width; x++) {
    const part = samples.subarray(Math.floor((x * samples.length) / width), Math.ceil(((x + 1) * samples.length) / width));
    const low = part.reduce((a, b) => Math.min(a, b), 0);
    const high = part.reduce((a, b) => Math.max(a, b), 0);
    const top = (height / 2) * (1 - high / peak);
    pen.fillRect(x, top, 1, Math.max(1, ((height / 2) * (high - low)) / peak));
  }
  canvas.setAttribute("aria-label", `Waveform of ${what}, ${(samples.length / rate).toFixed(1)} seconds`);
}

/** `mel` holds a byte per frame and band, frame after frame, each from its lowest band. */
export function drawMel(canvas, mel) {
  const frames = mel.length / NUM_MELS;
  const image = new ImageData(frames, NUM_MELS);
  for (let band = 0; band < NUM_MELS; band++) {
    for (let frame = 0; frame < frames; frame++) {
      image.data.set(colour(mel[frame * NUM_MELS + band] / 255), 4 * ((NUM_MELS - 1 - band) * frames + frame));
    }
  }
  const small = new OffscreenCanvas(frames, NUM_MELS);
  small.getContext("2d").putImageData(image, 0, 0);
  const pen = fitted(canvas);
  pen.drawImage(small, 0, 0, canvas.width, canvas.height);
  canvas.setAttribute("aria-label", `Mel spectrogram of the answer, ${frames} frames of ${NUM_MELS} bands`);
}

// From night through violet and orange to pale yellow.
const STOPS = [[8, 6, 24], [74, 20, 110], [176, 48, 98], [240, 120, 50], [252, 240, 180]];

function colour(level) {
  const place = Math.min(level, 0.9999) * (STOPS.length - 1);
  const [from, to] = [STOPS[Math.floor(place)], STOPS[Math.floor(place) + 1]];
  const share = place - Math.floor(place);
  return [...from.map((value, index) => value + share * (to[index] - value)), 255];
}
