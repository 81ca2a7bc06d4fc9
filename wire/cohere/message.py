"""The message of a Cohere chat being put together."""

from exchange.call import Json
from wire.fields import Object, index, mapping, string


class Message:
    """Content, tool calls and citations by their `index`; the plan before the tools as one text."""

    def __init__(self) -> None:
        self._fields: Object = {}
        self._plan: list[str] = []
        self._lists: dict[str, dict[int, Object]] = {"content": {}, "tool_calls": {}, "citations": {}}
        self._pieces: dict[tuple[int, str], tuple[Object, list[str]]] = {}  # by the identity of what holds them
        self._moved: dict[tuple[str, int], int] = {}

    def start(self, message: Object) -> None:
        """`message-start`: its empty strings and lists are places to fill, which an unstreamed message leaves out."""
        for key, value in message.items():
            if key in self._lists and isinstance(value, list):
                self._lists[key].update((at, mapping(each)) for at, each in enumerate(value))
            elif key == "tool_plan":
                self._plan.append(string(value))
            elif value not in (None, "", []):
                self._fields[key] = value

    def add(self, kind: str, event: Object) -> bool:
        """One event. False when its kind is not one that a message grows by."""
        message = mapping(mapping(event.get("delta")).get("message"))
        match kind:
            case "content-start":
                self._put("content", event, message.get("content"))
            case "content-delta":
                self._grow_content(event, mapping(message.get("content")))
            case "tool-plan-delta":
                self._plan.append(string(message.get("tool_plan")))
            case "tool-call-start":
                self._put("tool_calls", event, message.get("tool_calls"))
            case "tool-call-delta":
                self._grow_call(event, mapping(message.get("tool_calls")))
            case "citation-start":
                self._put("citations", event, message.get("citations"))
            case _:
                return False
        return True

    def _position(self, name: str, event: Object) -> int:
        at = index(event.get("index"))
        at = max(self._lists[name], default=0) if at is None else at
        return self._moved.get((name, at), at)

    def _put(self, name: str, event: Object, value: Json) -> None:
        """An entry opens; some servers send it in a list of one. An index that comes again opens a further one."""
        entries = self._lists[name]
        at = self._position(name, event)
        if at in entries:
            free = max(entries) + 1
            self._moved[name, index(event.get("index")) or 0] = at = free
        entries[at] = mapping(value[0] if isinstance(value, list) and value else value)

    def _grow_content(self, event: Object, told: Object) -> None:
        at = self._position("content", event)
        entry = self._lists["content"].get(at)
        if entry is None:  # its start was lost
            entry = self._lists["content"][at] = {"type": "thinking" if "thinking" in told else "text"}
        self._grow(entry, told, ("text", "thinking"))

    def _grow_call(self, event: Object, told: Object) -> None:
        entry = self._lists["tool_calls"].setdefault(self._position("tool_calls", event), {"type": "function"})
        function = entry.get("function")
        if not isinstance(function, dict):
            function = entry["function"] = {}
        self._grow(function, mapping(told.get("function")), ("arguments",))

    def _grow(self, holder: Object, told: Object, growing: tuple[str, ...]) -> None:
        for key, value in told.items():
            if key in growing and isinstance(value, str):
                held = self._pieces.get((id(holder), key))
                if held is None:
                    held = self._pieces[id(holder), key] = (holder, [string(holder.get(key))])
                held[1].append(value)
            elif value is not None:
                holder[key] = value

    def whole(self) -> Object:
        """The message as it would have come unstreamed: what is empty is left out."""
        for (_, key), (holder, pieces) in self._pieces.items():
            holder[key] = "".join(pieces)
        message = dict(self._fields)
        plan = "".join(self._plan)
        if plan:
            message["tool_plan"] = plan
        for name, entries in self._lists.items():
            listed: list[Json] = [entries[at] for at in sorted(entries)]
            if listed:
                message[name] = listed
        return message
