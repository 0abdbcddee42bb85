"""Names the types of contents with Magika."""

import json

from magika import Magika

contents = [
    b"import os\n\n\ndef main() -> None:\n    for name in os.listdir('.'):\n        print(name)\n\n\nmain()\n" * 4,
    b"<!DOCTYPE html><html><head><title>x</title></head><body><p>Some text here</p></body></html>" * 4,
    b'{"name": "value", "list": [1, 2, 3], "nested": {"deep": true}}' * 4,
    b"SELECT name, count(*) FROM things WHERE size > 3 GROUP BY name ORDER BY name;\n" * 6,
]
names = Magika()
found = [names.identify_bytes(content) for content in contents]
print(json.dumps([[str(result.output.label), round(float(result.score), 3)] for result in found]))
