"""A stand-in for NextChat's pages: its real endpoints, headers and body shapes, and nothing of its looks.

NextChat (app/client/platforms/openai.ts, app/store/access.ts): POST /api/config at the start, GET
/api/openai/v1/models, POST /api/openai/v1/chat/completions with `stream: true`; `fetch` with its default credentials.
"""

import json

from tests.journeys.provider import Answer, Received

PAGE = """<!doctype html><html><head><meta charset=utf-8><meta name=viewport content="width=device-width">
<title>NextChat</title></head><body><select id=model></select>
<textarea id=words></textarea><button id=send>send</button><p id=answer></p><p id=state></p>
<script src="/_next/static/page.js"></script></body></html>"""

SCRIPT = """
const states = window.states = [];
const say = (id, text) => { document.getElementById(id).textContent = text; };
async function start() {
  const json = {"Content-Type": "application/json"};
  const config = await (await fetch("/api/config", {method: "post", body: null, headers: {...json}})).json();
  const models = await (await fetch("/api/openai/v1/models", {headers: {...json}})).json();
  for (const one of models.data) document.getElementById("model").append(new Option(one.id));
  say("state", config.needCode ? "needs a code" : "ready");
}
async function send() {
  say("answer", ""); states.length = 0;
  const answer = await fetch("/api/openai/v1/chat/completions", {
    method: "POST",
    headers: {
      "Content-Type": "application/json", "Accept": "application/json",
      "x-requested-with": "XMLHttpRequest", "Authorization": "Bearer nk-typed-by-hand",
    },
    body: JSON.stringify({
      messages: [{role: "user", content: document.getElementById("words").value}], stream: true,
      model: document.getElementById("model").value,
      temperature: 0.5, presence_penalty: 0, frequency_penalty: 0, top_p: 1,
    }),
  });
  if (!answer.ok) { say("state", answer.status + " " + (await answer.json()).error.code); return; }
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let left = "", text = "";
  for (;;) {
    const {value, done} = await reader.read();
    if (done) break;
    left += value;
    const lines = left.split("\\n\\n"); left = lines.pop();
    for (const line of lines) {
      if (line === "data: [DONE]") continue;
      const delta = JSON.parse(line.slice(6)).choices[0]?.delta?.content;
      if (delta) { text += delta; states.push([performance.now(), text]); say("answer", text); }
    }
  }
  say("state", "done");
}
document.getElementById("send").addEventListener("click", send);
start();
"""


def chat_ui(asked: Received) -> Answer:
    """What NextChat's server answers its own pages."""
    path = asked.target.partition("?")[0]
    if path == "/":
        return Answer([PAGE.encode()], fields=(("content-type", "text/html"),))
    if path == "/_next/static/page.js":
        return Answer([SCRIPT.encode()], fields=(("content-type", "text/javascript"),))
    if path == "/api/config":
        body = json.dumps({"needCode": False, "hideUserApiKey": False, "customModels": ""}).encode()
        return Answer([body], fields=(("content-type", "application/json"), ("access-control-allow-origin", "*")))
    return Answer([b"not here"], status=404, fields=(("content-type", "text/plain"),))
