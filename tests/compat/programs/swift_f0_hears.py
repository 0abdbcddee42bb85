"""Hears pitch with SwiftF0."""

import json

import numpy as np
from swift_f0 import SwiftF0

rate = 16000
time = np.arange(2 * rate) / rate
glide = 200 + 100 * time
audio = (0.3 * np.sin(2 * np.pi * np.cumsum(glide) / rate)).astype(np.float32)
found = SwiftF0().detect(audio, rate)
print(json.dumps([np.round(found.pitch_hz, 1).tolist(), np.round(found.confidence, 2).tolist()]))
