// Recordings: from files to samples, and from samples to WAV files.
import { Trouble } from "./words.js";

const RATE = 16_000; // what the recogniser hears

/** A file's samples, mono at 16 kHz, as 16-bit integers. */
export async function samplesOf(file) {
  let decoded;
  try {
    // A context of this rate resamples what it decodes.
    decoded = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Trouble("notAudio");
  }
  const samples = new Int16Array(decoded.length);
  const channels = Array.from({ length: decoded.numberOfChannels }, (_, index) => decoded.getChannelData(index));
  for (let index = 0; index < samples.length; index++) {
    const mean = channels.reduce((sum, channel) => sum + channel[index], 0) / channels.length;
    samples[index] = Math.max(-1, Math.min(1, mean)) * 32767;
  }
  return { samples, rate: RATE };
}

/** Two arrays of numbers, of the same kind, as one. */
export function joined(first, second) {
  const both = new first.constructor(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

/** Mono 16-bit samples as the address of a WAV file. */
export function wavAddress(samples, rate) {
  const header = new DataView(new ArrayBuffer(44));
  const text = (offset, word) => [...word].forEach((letter, index) => header.setUint8(offset + index, letter.charCodeAt(0)));
  text(0, "RIFF");
  header.setUint32(4, 36 + samples.byteLength, true);
  text(8, "WAVEfmt ");
  header.setUint32(16, 16, true);
  header.setUint16(20, 1, true); // PCM
  header.setUint16(22, 1, true); // channels
  header.setUint32(24, rate, true);
  header.setUint32(28, 2 * rate, true);
  header.setUint16(32, 2, true);
  header.setUint16(34, 16, true);
  text(36, "data");
  header.setUint32(40, samples.byteLength, true);
  return URL.createObjectURL(new Blob([header, samples], { type: "audio/wav" }));
}
