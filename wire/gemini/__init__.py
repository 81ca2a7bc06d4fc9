"""Google's Gemini APIs, on generativelanguage.googleapis.com and on Vertex AI."""
