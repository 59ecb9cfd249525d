"""Writes recordings in the containers of browsers, phones and chat programs, by ffmpeg."""

import io

import av
import numpy as np
import soxr

# Container, codec and rate, as ffmpeg names them.
CONTAINERS = {
    "3gp of AMR": ("3gp", "libopencore_amrnb", 8_000),
    "3gp of AAC": ("3gp", "aac", 44_100),
    "aac": ("adts", "aac", 44_100),
    "ac3": ("ac3", "ac3", 48_000),
    "aiff": ("aiff", "pcm_s16be", 44_100),
    "amr": ("amr", "libopencore_amrnb", 8_000),
    "au": ("au", "pcm_mulaw", 8_000),
    "avi": ("avi", "libmp3lame", 44_100),
    "flac": ("flac", "flac", 48_000),
    "flv": ("flv", "aac", 44_100),
    "m4a": ("ipod", "aac", 44_100),
    "m4a of ALAC": ("ipod", "alac", 44_100),
    "mka of Vorbis": ("matroska", "vorbis", 48_000),
    "mkv": ("matroska", "aac", 44_100),
    "mov": ("mov", "pcm_s16le", 44_100),
    "mp2": ("mp2", "mp2", 48_000),
    "mp3": ("mp3", "libmp3lame", 44_100),
    "mp4": ("mp4", "aac", 48_000),
    "mpegts": ("mpegts", "aac", 48_000),
    "ogg of Opus": ("ogg", "libopus", 48_000),
    "ogg of Vorbis": ("ogg", "vorbis", 48_000),
    "wav": ("wav", "pcm_s16le", 22_050),
    "wav of A-law": ("wav", "pcm_alaw", 8_000),
    "wav of ADPCM": ("wav", "adpcm_ms", 22_050),
    "wav of 24 bits": ("wav", "pcm_s24le", 96_000),
    "wav of floats": ("wav", "pcm_f32le", 192_000),
    "webm": ("webm", "libopus", 48_000),
    "wma": ("asf", "wmav2", 44_100),
}
STEREO_CODECS = ("vorbis",)


class Pipe(io.RawIOBase):
    """A file that can be written but not rewound, so that no length is put into its header."""

    def __init__(self):
        self.content = bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.content += bytes(data)
        return len(data)


def write_recording(name, audio, rate, piped=False):
    """Return `audio`, float32, shape = (samples,), as the bytes of a file of this container."""
    container, codec, container_rate = CONTAINERS[name]
    audio = soxr.resample(audio, rate, container_rate)
    file = Pipe() if piped else io.BytesIO()
    options = {"movflags": "frag_keyframe+empty_moov"} if piped and container in ("mp4", "mov", "ipod", "3gp") else {}
    with av.open(file, "w", format=container, options=options) as output:
        stream = output.add_stream(codec, rate=container_rate, options={"strict": "-2"})
        stream.layout = "stereo" if codec in STEREO_CODECS else "mono"
        if codec == "wmav2":
            stream.bit_rate = 64_000
        for frame in frames_of(audio, container_rate, stream):
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return bytes(file.content) if piped else file.getvalue()


def frames_of(audio, rate, stream):
    frame = av.AudioFrame.from_ndarray((audio * 32767).clip(-32768, 32767).astype("<i2")[None], "s16", "mono")
    frame.rate, frame.pts = rate, 0
    context = stream.codec_context
    formats = context.codec.audio_formats or [context.format]
    resampler = av.AudioResampler(formats[0].name, stream.layout.name, rate)
    queue = av.AudioFifo()
    for converted in [*resampler.resample(frame), *resampler.resample(None)]:
        queue.write(converted)
    context.open()
    while queue.samples:
        yield queue.read(context.frame_size or 1024, partial=True)


def sweep(seconds, rate=16_000):
    """A tone that rises from 300 to 2,000 Hz at half of full scale, float32."""
    time = np.arange(int(seconds * rate)) / rate
    return (np.sin(2 * np.pi * (300 + 850 * time / seconds) * time) / 2).astype(np.float32)
