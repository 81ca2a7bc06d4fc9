// A little Markdown (CommonMark's commonest) → elements. No HTML is ever read: what looks like it stands there as text.

const FENCE = /^\s*(`{3,}|~{3,})\s*([\w+#.-]*)\s*$/;
const INLINE = /(`+)([^]*?[^`])\1(?!`)|\*\*([^*\n]+)\*\*|\*([^*\s][^*\n]*)\*|\[([^\]\n]+)\]\((https?:\/\/[^\s)]+)\)/g;

function make(tag, ...children) {
  const element = document.createElement(tag);
  element.append(...children);
  return element;
}

function inline(text) {
  const found = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    found.push(text.slice(at, match.index));
    at = match.index + match[0].length;
    if (match[2] !== undefined) found.push(make("code", match[2]));
    else if (match[3] !== undefined) found.push(make("strong", match[3]));
    else if (match[4] !== undefined) found.push(make("em", match[4]));
    else found.push(link(match[5], match[6]));
  }
  found.push(text.slice(at));
  return found.filter((part) => part !== "");
}

// Where it leads stands beside what it says: nobody is told another place than the real one.
function link(said, to) {
  const anchor = make("a", said === to ? to : `${said} (${to})`);
  anchor.href = to;
  anchor.rel = "noopener noreferrer nofollow";
  anchor.target = "_blank";
  return anchor;
}

function list(lines, ordered) {
  const items = lines.map((line) => make("li", ...inline(line.replace(/^\s*(?:[-*+]|\d+[.)])\s+/, ""))));
  return make(ordered ? "ol" : "ul", ...items);
}

export function layOut(text) {
  const lines = text.split("\n"), found = [];
  const isItem = (line) => /^\s*(?:[-*+]|\d+[.)])\s+\S/.test(line ?? "");
  for (let i = 0; i < lines.length;) {
    const fence = FENCE.exec(lines[i]);
    if (fence) {
      let end = i + 1;
      while (end < lines.length && !lines[end].trim().startsWith(fence[1])) end += 1;
      const block = make("pre", make("code", lines.slice(i + 1, end).join("\n")));
      block.tabIndex = 0;
      found.push(block);
      i = end + 1;
    } else if (/^#{1,6}\s/.test(lines[i])) {
      found.push(make("h3", ...inline(lines[i].replace(/^#+\s+/, ""))));
      i += 1;
    } else if (isItem(lines[i])) {
      const begin = i;
      while (isItem(lines[i])) i += 1;
      found.push(list(lines.slice(begin, i), /^\s*\d/.test(lines[begin])));
    } else if (!lines[i].trim()) {
      i += 1;
    } else {
      const begin = i;
      while (i < lines.length && lines[i].trim() && !FENCE.test(lines[i]) && !isItem(lines[i]) && !/^#{1,6}\s/.test(lines[i])) i += 1;
      const words = lines.slice(begin, i).flatMap((line, n) => (n ? [make("br"), ...inline(line)] : inline(line)));
      found.push(make("p", ...words));
    }
  }
  return found;
}
