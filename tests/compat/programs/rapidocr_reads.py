"""Finds and reads lines of text with RapidOCR."""

import json

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rapidocr import RapidOCR

image = Image.new("RGB", (480, 200), "white")
draw = ImageDraw.Draw(image)
for row, text in enumerate(("Hello World", "open 24 hours")):
    draw.text((30, 20 + 90 * row), text, fill="black", font=ImageFont.load_default(42))
found = RapidOCR()(np.asarray(image))
boxes = [np.asarray(box).round().astype(int).tolist() for box in found.boxes]
print(json.dumps([list(found.txts), [round(float(score), 3) for score in found.scores], boxes]))
