"""Files, uploads and batches: recorded by name and size (multipart reads no contents) or as the JSON they are.

Source: OpenAI API reference, "Files", "Uploads", "Batch".
"""

from dataclasses import replace

from wire import other
from wire.api import Api

UPLOAD: Api = replace(other.API, media="multipart")
"""A file, or a part of one, as multipart/form-data."""

API: Api = replace(other.API, media="json")
"""What is said about files and batches, as JSON."""
