import librosa
import numpy as np
import pytest

from convai.audio.mel_filters import mel_filterbank


@pytest.mark.parametrize(("rate", "fft_length", "num_mels"), [(16_000, 512, 64), (22_050, 1024, 80), (8_000, 256, 20)])
def test_the_filters_equal_librosas_but_for_the_last_bit_of_float32(rate, fft_length, num_mels):
    ours = mel_filterbank(rate, fft_length, num_mels, max_hertz=rate / 2)
    theirs = librosa.filters.mel(sr=rate, n_fft=fft_length, n_mels=num_mels, fmin=0.0, fmax=rate / 2)
    assert ours.dtype == theirs.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, rtol=2.5e-7, atol=1e-9 * theirs.max())
