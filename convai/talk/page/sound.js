// Recordings: from files to samples, and from samples to WAV files.
import { authorise, kindOf } from "./typed_question.js";
import { describeFailure, PageError, WORDS } from "./words.js";

export const RATE = 16_000; // of the recogniser, in Hertz
const MIN_SECONDS = 0.1; // of a question
const WAV_HEADER_BYTES = 44;

/**
 * Throw a `PageError` if a file cannot be a recording, or is too large to be sent.
 * @param {{type: string, size: number}} file of an unknown kind if its type is empty
 * @param {number} maxBytes
 */
export function checkRecording({ type, size }, maxBytes) {
  if (type && !/^(audio|video|application\/ogg)/.test(type)) throw new PageError(WORDS.notRecording);
  if (size > maxBytes) throw new PageError(WORDS.tooLarge(maxBytes));
}

/**
 * The samples of a recorded question, mono at 16 kHz. Throws a `PageError` if it cannot be one.
 * @param {Blob} file
 * @param {string} key
 * @param {{questionSeconds: number, uploadBytes: number}} limits
 */
export async function readRecording(file, key, limits) {
  checkRecording(file, limits.uploadBytes);
  const samples = await decodeFile(file, key);
  const seconds = samples.length / RATE;
  if (seconds < MIN_SECONDS) throw new PageError(WORDS.tooShort);
  if (seconds > limits.questionSeconds) throw new PageError(WORDS.tooLongRecording(limits.questionSeconds));
  return samples;
}

/** @param {string} address of an example's recording */
export async function fetchRecording(address) {
  const response = await fetch(address).catch(() => null);
  if (!response?.ok) throw new PageError(WORDS.noPage);
  return response.blob();
}

/**
 * A file's samples, mono at 16 kHz, as 16-bit integers; the server decodes what the browser cannot.
 * @param {Blob} file
 * @param {string} key
 */
async function decodeFile(file, key) {
  let decoded;
  try {
    // A context of this rate resamples what it decodes.
    decoded = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(await file.arrayBuffer());
  } catch {
    return decodeOnServer(file, key);
  }
  const channels = Array.from({ length: decoded.numberOfChannels }, (_, index) => decoded.getChannelData(index));
  return mixDown(channels);
}

/**
 * @param {Blob} file
 * @param {string} key
 */
async function decodeOnServer(file, key) {
  const body = new FormData();
  body.append("file", file);
  const response = await fetch("/v1/decode", { method: "POST", body, headers: authorise(key) }).catch(() => null);
  if (!response) throw new PageError(WORDS.noPage);
  if (response.ok) return new Int16Array(await response.arrayBuffer());
  const isBad = response.status === 400 || response.status === 413;
  throw new PageError(isBad ? WORDS.notAudio : describeFailure({ kind: kindOf(response.status), message: "" }));
}

/**
 * The mean of channels, floats in [-1, 1], as 16-bit integers.
 * @param {Float32Array[]} channels
 */
export function mixDown(channels) {
  const samples = new Int16Array(channels[0].length);
  for (let index = 0; index < samples.length; index++) {
    let sum = 0;
    for (const channel of channels) sum += channel[index];
    samples[index] = Math.max(-1, Math.min(1, sum / channels.length)) * 32767;
  }
  return samples;
}

/**
 * Typed arrays of one kind, at least one, as one array.
 * @template {Int16Array | Uint8Array} Samples
 * @param {Samples[]} chunks
 * @returns {Samples}
 */
export function concatenate(chunks) {
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const whole = new /** @type {new (length: number) => Samples} */ (chunks[0].constructor)(length);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.length;
  }
  return whole;
}

/**
 * Mono 16-bit samples as a WAV file.
 * @param {Int16Array} samples
 * @param {number} rate
 */
export function makeWav(samples, rate) {
  const header = new DataView(new ArrayBuffer(WAV_HEADER_BYTES));
  /** @type {(offset: number, word: string) => void} */
  const writeText = (offset, word) => {
    for (let index = 0; index < word.length; index++) header.setUint8(offset + index, word.charCodeAt(index));
  };
  writeText(0, "RIFF");
  header.setUint32(4, WAV_HEADER_BYTES - 8 + samples.byteLength, true);
  writeText(8, "WAVEfmt ");
  header.setUint32(16, 16, true); // bytes of the format
  header.setUint16(20, 1, true); // PCM
  header.setUint16(22, 1, true); // channels
  header.setUint32(24, rate, true);
  header.setUint32(28, 2 * rate, true); // bytes per second
  header.setUint16(32, 2, true); // bytes per frame
  header.setUint16(34, 16, true); // bits per sample
  writeText(36, "data");
  header.setUint32(40, samples.byteLength, true);
  return new Blob([header, /** @type {Int16Array<ArrayBuffer>} */ (samples)], { type: "audio/wav" });
}
