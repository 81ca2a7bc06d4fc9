"""The online half: mitmproxy's hooks, small and boring. Decides, forwards, copies; understanding is the recorder's."""
