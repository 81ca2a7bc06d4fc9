"""A stand-in for NextChat's pages: its real endpoints, headers and body shapes, and nothing of its looks.

NextChat (app/layout.tsx, app/store/access.ts, app/store/chat.ts, app/utils/model.ts, app/client/platforms/openai.ts):
GET /site.webmanifest and /serviceWorkerRegister.js; POST /api/config at the start, whose `customModels` say which
models there are (it never asks the API for its list); before each message a function of its server is called, which is
told nothing; then POST /api/openai/v1/chat/completions with `stream: true`; `fetch` with its default credentials.
"""

import json

from tests.journeys.provider import Answer, Received

PAGE = """<!doctype html><html><head><meta charset=utf-8><meta name=viewport content="width=device-width">
<link rel=manifest href="/site.webmanifest" crossorigin=use-credentials>
<script src="/serviceWorkerRegister.js" defer></script>
<title>NextChat</title></head><body><select id=model></select>
<textarea id=words></textarea><button id=send>send</button><p id=answer></p><p id=state></p>
<script src="/_next/static/page.js"></script></body></html>"""

REGISTER = """
navigator.serviceWorker?.register("/serviceWorker.js").then(() => { window._SW_ENABLED = true; }, () => {});
"""

SCRIPT = """
const states = window.states = [];
const say = (id, text) => { document.getElementById(id).textContent = text; };
const known = ["gpt-4", "gpt-4o", "o3", "gemini-1.5-pro", "claude-3-5-sonnet-latest"];
function available(customModels) {
  const table = Object.fromEntries(known.map((name) => [name, true]));
  for (const one of customModels.split(",").filter((part) => part.length > 0)) {
    const on = !one.startsWith("-"), name = one.replace(/^[+-]/, "").split("=")[0].split(/@(?!.*@)/)[0];
    if (name === "all") for (const each of Object.keys(table)) table[each] = on;
    else table[name] = on;
  }
  return Object.keys(table).filter((name) => table[name]);
}
async function start() {
  const json = {"Content-Type": "application/json", "Accept": "application/json"};
  const config = await (await fetch("/api/config", {method: "post", body: null, headers: {...json}})).json();
  for (const one of available(config.customModels)) document.getElementById("model").append(new Option(one));
  say("state", config.needCode ? "needs a code" : "ready");
}
async function isMcpEnabled() {
  const answer = await fetch("/", {method: "POST", body: "[]", headers: {
    "Accept": "text/x-component", "Next-Action": "00f1c8a4", "Next-Router-State-Tree": "%5B%22%22%5D",
    "Content-Type": "text/plain;charset=UTF-8",
  }});
  if (!answer.ok) throw new Error("no answer from its server");
  return (await answer.text()).includes("1:true");
}
async function send() {
  say("answer", ""); states.length = 0;
  await isMcpEnabled();
  const answer = await fetch("/api/openai/v1/chat/completions", {
    method: "POST",
    headers: {"Content-Type": "application/json", "Accept": "application/json", "Authorization": "Bearer nk-by-hand"},
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
    if path == "/" and asked.method == "POST":
        said = b'0:["$@1",["build",null]]\n1:false\n'
        return Answer([said], fields=(("content-type", "text/x-component"),))
    if path == "/":
        return Answer([PAGE.encode()], fields=(("content-type", "text/html"),))
    if path in ("/_next/static/page.js", "/serviceWorkerRegister.js", "/serviceWorker.js"):
        script = {"/serviceWorkerRegister.js": REGISTER, "/serviceWorker.js": ""}.get(path, SCRIPT)
        return Answer([script.encode()], fields=(("content-type", "text/javascript"),))
    if path == "/site.webmanifest":
        return Answer([b'{"name": "NextChat"}'], fields=(("content-type", "application/manifest+json"),))
    if path == "/api/config":
        body = json.dumps({"needCode": False, "hideUserApiKey": False, "customModels": ""}).encode()
        return Answer([body], fields=(("content-type", "application/json"), ("access-control-allow-origin", "*")))
    return Answer([b"not here"], status=404, fields=(("content-type", "text/plain"),))
