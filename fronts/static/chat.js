// /chat. Chat Completions as a stream, by the front's own API path; the session is the identity. What the model says
// is laid out by making elements, never by HTML: nothing of it can run.
import { layOut } from "./markdown.js";

const $ = (id) => document.getElementById(id);
const log = $("log"), words = $("words"), model = $("model");
let messages = [], stopping = null;

function show(role, text) {
  const said = document.createElement("div");
  said.className = `said ${role}`;
  fill(said, role, text);
  log.append(said);
  said.scrollIntoView({ block: "end" });
  return said;
}

function fill(said, role, text) {
  if (role === "user") said.textContent = text;
  else said.replaceChildren(...layOut(text));
}

function busy(controller) {
  stopping = controller;
  $("send").hidden = Boolean(controller);
  $("stop").hidden = !controller;
}

// The events of a stream (WHATWG HTML, 9.2.6), as far as Chat Completions uses them: lines of `data: `.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let left = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    left += value;
    const lines = left.split(/\r?\n/);
    left = lines.pop();
    for (const line of lines) {
      if (line.startsWith("data:") && line.slice(5).trim() !== "[DONE]") yield JSON.parse(line.slice(5));
    }
  }
}

async function problemOf(answer) {
  try {
    const { error } = await answer.json();
    return `${error.message} (${error.code})`;
  } catch {
    return `HTTP ${answer.status}`;
  }
}

class SessionOver extends Error {}

// In a tab of its own: what was written here stays.
function wayIn() {
  const link = document.createElement("a");
  Object.assign(link, { href: "/_sekisho/login?to=/chat", target: "_blank", textContent: log.dataset.again });
  return [`${log.dataset.over} `, link];
}

async function ask(text) {
  messages.push({ role: "user", content: text });
  show("user", text);
  const said = show("assistant", "…");
  const controller = new AbortController();
  busy(controller);
  let answered = "";
  try {
    const answer = await fetch("/_sekisho/api/v1/chat/completions", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: model.value, messages, stream: true }),
      signal: controller.signal,
    });
    if (answer.status === 401) throw new SessionOver();
    if (!answer.ok) throw new Error(await problemOf(answer));
    for await (const event of events(answer.body)) {
      if (event.error) throw new Error(event.error.message ?? "error");
      const piece = event.choices?.[0]?.delta?.content;
      if (!piece) continue;
      answered += piece;
      const atEnd = innerHeight + scrollY >= document.body.scrollHeight - 80;
      fill(said, "assistant", answered);
      if (atEnd) scrollTo(0, document.body.scrollHeight);
    }
  } catch (problem) {
    if (problem.name !== "AbortError") {
      const told = document.createElement("p");
      told.className = "error";
      told.setAttribute("role", "alert");
      told.append(...(problem instanceof SessionOver ? wayIn() : [`${log.dataset.failed} ${problem.message}`]));
      if (!answered) {
        said.replaceChildren();
        words.value ||= text; // nobody should have to write it again
      }
      said.append(told);
    } else if (!answered) said.remove();
  } finally {
    busy(null);
    if (answered) messages.push({ role: "assistant", content: answered });
    else messages.pop(); // what got no answer is not sent again
    words.focus();
  }
}

function begin(earlier = []) {
  stopping?.abort();
  messages = [...earlier];
  log.replaceChildren();
  for (const one of messages) show(one.role, one.content);
}

async function listChats() {
  const answer = await fetch("/chat/history");
  const found = answer.ok ? await answer.json() : [];
  $("chats").replaceChildren(...found.map(({ id, title }) => {
    const item = document.createElement("li"), button = document.createElement("button");
    button.className = "quiet";
    button.textContent = title;
    button.addEventListener("click", () => openChat(id));
    item.append(button);
    return item;
  }));
}

async function openChat(id) {
  const answer = await fetch(`/chat/history/${encodeURIComponent(id)}`);
  if (!answer.ok) return;
  const earlier = await answer.json();
  if ([...model.options].some((option) => option.value === earlier.model)) model.value = earlier.model;
  begin(earlier.messages);
  $("history").open = false;
}

if (words) {
  $("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = words.value.trim();
    if (!text || stopping) return;
    words.value = "";
    ask(text);
  });
  // Enter sends, but for the Enter that takes a conversion of an input method, as in Japanese.
  words.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229) {
      event.preventDefault();
      $("composer").requestSubmit();
    }
  });
  $("stop").addEventListener("click", () => stopping?.abort());
  $("new").addEventListener("click", () => { begin(); words.focus(); });
  $("history").addEventListener("toggle", () => { if ($("history").open) listChats(); });
}
