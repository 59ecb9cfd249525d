// Recordings: from files to samples, and from samples to WAV files.
import { PageError } from "./words.js";

const RATE = 16_000; // of the recogniser, in Hertz
const WAV_HEADER_BYTES = 44;

/** A file's samples, mono at 16 kHz, as 16-bit integers; the server decodes what the browser cannot. */
export async function decodeFile(file, key) {
  let decoded;
  try {
    // A context of this rate resamples what it decodes.
    decoded = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(await file.arrayBuffer());
  } catch {
    return { samples: await decodeOnServer(file, key), rate: RATE };
  }
  const channels = Array.from({ length: decoded.numberOfChannels }, (_, index) => decoded.getChannelData(index));
  return { samples: mixDown(channels), rate: RATE };
}

async function decodeOnServer(file, key) {
  const body = new FormData();
  body.append("file", file);
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const response = await fetch("/v1/decode", { method: "POST", body, headers });
  if (!response.ok) throw new PageError("notAudio");
  return new Int16Array(await response.arrayBuffer());
}

/** The mean of channels, floats in [-1, 1], as 16-bit integers. */
export function mixDown(channels) {
  const samples = new Int16Array(channels[0].length);
  for (let index = 0; index < samples.length; index++) {
    let sum = 0;
    for (const channel of channels) sum += channel[index];
    samples[index] = Math.max(-1, Math.min(1, sum / channels.length)) * 32767;
  }
  return samples;
}

/** Typed arrays of one kind, at least one, as one array. */
export function concatenate(chunks) {
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const whole = new chunks[0].constructor(length);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.length;
  }
  return whole;
}

/** Mono 16-bit samples as a WAV file, a Blob. */
export function makeWav(samples, rate) {
  const header = new DataView(new ArrayBuffer(WAV_HEADER_BYTES));
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
  return new Blob([header, samples], { type: "audio/wav" });
}
