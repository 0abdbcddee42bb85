"""Reads captchas with ddddocr."""

import io
import json

import ddddocr
from PIL import Image, ImageDraw, ImageFont

reader = ddddocr.DdddOcr(show_ad=False)
found = []
for text in ("7f3k", "2468", "abcd"):
    image = Image.new("RGB", (160, 60), "white")
    ImageDraw.Draw(image).text((20, 8), text, fill="black", font=ImageFont.load_default(36))
    data = io.BytesIO()
    image.save(data, format="PNG")
    found.append(reader.classification(data.getvalue()))
print(json.dumps(found))
